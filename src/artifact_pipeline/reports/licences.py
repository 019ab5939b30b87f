"""Licences by name: SPDX writes `Apache-2.0`, the Hub of Hugging Face `apache-2.0`, and each has its own list."""

from __future__ import annotations

_SPDX = (
    "0BSD AFL-3.0 AGPL-3.0-only AGPL-3.0-or-later Apache-2.0 Artistic-2.0 BlueOak-1.0.0 BSD-2-Clause BSD-3-Clause "
    "BSD-3-Clause-Clear BSL-1.0 CC-BY-2.0 CC-BY-2.5 CC-BY-3.0 CC-BY-4.0 CC-BY-NC-2.0 CC-BY-NC-3.0 CC-BY-NC-4.0 "
    "CC-BY-NC-ND-4.0 CC-BY-NC-SA-4.0 CC-BY-ND-4.0 CC-BY-SA-3.0 CC-BY-SA-4.0 CC0-1.0 CDLA-Permissive-1.0 "
    "CDLA-Permissive-2.0 CDLA-Sharing-1.0 ECL-2.0 EPL-1.0 EPL-2.0 EUPL-1.1 EUPL-1.2 GFDL-1.3-or-later GPL-2.0-only "
    "GPL-2.0-or-later GPL-3.0-only GPL-3.0-or-later ISC LGPL-2.1-only LGPL-2.1-or-later LGPL-3.0-only "
    "LGPL-3.0-or-later LPPL-1.3c MIT MPL-2.0 MS-PL NCSA ODbL-1.0 ODC-By-1.0 OFL-1.1 OSL-3.0 PDDL-1.0 PostgreSQL "
    "Unlicense WTFPL Zlib"
)
_BY_LOWER = {each.lower(): each for each in _SPDX.split()}
_HUB = (
    "afl-3.0 agpl-3.0 apache-2.0 artistic-2.0 bsd-2-clause bsd-3-clause bsd-3-clause-clear bsl-1.0 cc-by-2.0 cc- "
    "by-2.5 cc-by-3.0 cc-by-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nc-nd-4.0 cc-by-nc-sa-4.0 cc-by- "
    "nd-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc0-1.0 cdla-permissive-1.0 cdla-permissive-2.0 cdla-sharing-1.0 ecl-2.0 "
    "epl-1.0 epl-2.0 eupl-1.1 eupl-1.2 gpl-2.0 gpl-3.0 isc lgpl-2.1 lgpl-3.0 lppl-1.3c mit mpl-2.0 ms-pl ncsa "
    "odbl ofl-1.1 osl-3.0 pddl postgresql unlicense wtfpl zlib"
)
_ON_HUB = frozenset(_HUB.split())
_HUB_NAMES = {"odbl-1.0": "odbl", "pddl-1.0": "pddl"}


def spdx_licence(name: str) -> str | None:
    """Return the SPDX identifier of a licence in its one spelling; None where it is not among the common ones."""
    return _BY_LOWER.get(name.lower())


def hub_licence(name: str) -> dict[str, str]:
    """Return what a card's metadata says of a licence: by the Hub's own name, or as `other` with its name."""
    short = name.lower().removesuffix("-only").removesuffix("-or-later")
    short = _HUB_NAMES.get(short, short)
    return {"license": short} if short in _ON_HUB else {"license": "other", "license_name": name.lower()}
