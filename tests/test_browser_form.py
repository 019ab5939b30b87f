"""The page of a model of any columns in a real browser: a form, what spoke for the answer, tables."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

import artifact_pipeline
from browsing import DESK, LOW_CONTRAST, PHONE, announced, dropped, opened
from mixedmodels import MODELS, mixed_rows, train_each, train_mixed
from servers import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

    from servers import Server

pytestmark = pytest.mark.slow

SHOT = Path(__file__).resolve().parents[1] / "docs" / "images" / "form.png"
TAG, IMAGE, FORMULA = "<script>alert(1)</script>", "<img src=x onerror=alert(2)>", "=1+1"
"""Levels, labels and names of columns that must stay text."""
MINUS, TIMES = "\N{MINUS SIGN}", "\N{MULTIPLICATION SIGN}"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Where each of three models of a mixed table was trained."""
    return train_each(tmp_path_factory)


@pytest.fixture(scope="module")
def servers(folders: dict[str, Path]) -> Iterator[dict[str, Server]]:
    with ExitStack() as stack:
        yield {name: stack.enter_context(serving(folder / "artifact")) for name, folder in folders.items()}


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a model whose labels, levels and columns are HTML and formulas."""
    folder, random = tmp_path_factory.mktemp("hostile"), np.random.default_rng(1)
    with (folder / "rows.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([IMAGE, "b", "label"])
        for row in range(200):
            level = ["", TAG, IMAGE, FORMULA, "constructor"][row % 5]
            value = random.normal() + 3 * (level == TAG)
            writer.writerow([level, "" if row % 9 == 0 else value, TAG if value > 1 else "no"])
    config = {
        "dataset": {"path": str(folder / "rows.csv"), "target": "label"},
        "preprocess": "auto",
        "model": {"estimator": "RandomForestClassifier", "n_estimators": 5, "min_samples_leaf": 5},
        "gate": {"min_accuracy": 0.3, "min_f1": 0.3},
    }
    artifact_pipeline.train(config, artifact=folder / "artifact", export=folder / "model.pkl")
    return folder


@pytest.fixture
def page(browser: Browser, servers: dict[str, Server]) -> Iterator[Page]:
    with opened(browser, servers["logistic"]) as page:
        answered(page)
        yield page


def answered(page: Page) -> None:
    """Wait until the form has its first answer."""
    expect(page.locator("#confidence")).to_contain_text(re.compile("sure|score"), timeout=15_000)


def asked(server: Server, body: dict[str, Any]) -> dict[str, Any]:
    """What the server answers to a request of the protocol, by the outputs' names."""
    name = json.loads(server.ask("GET", "/page/model")[2])["name"]
    status, _, answer = server.ask("POST", f"/v2/models/{name}/infer", json.dumps(body).encode())
    assert status == 200, answer
    return {each["name"]: each["data"] for each in json.loads(answer)["outputs"]}


def sent(page: Page) -> dict[str, Any]:
    """The row in the form, as the page says that the protocol has it."""
    body: dict[str, Any] = json.loads(page.locator("#request").text_content().partition(" -d '")[2][:-1])
    return body


def see_answer(page: Page, server: Server, **expected: Any) -> None:
    """See that the page shows what the server answers to the row in the form, which has these values."""
    values = {name.replace("_", " "): value for name, value in expected.items()}
    page.wait_for_function(
        """(values) => {
          const {inputs} = JSON.parse(document.getElementById('request').textContent.split(" -d '")[1].slice(0, -1));
          return inputs.every(({name, data}) => !(name in values) || data[0] === values[name]);
        }""",
        arg=values,
    )
    answer = asked(server, sent(page))
    expect(page.locator("#label")).to_have_text(answer["label"][0])
    shown = [f"{100 * min(share, 0.999):.1f} %" for share in answer["probabilities"]]
    expect(page.locator("#bars .value")).to_have_text(shown)


# --- the form


def test_the_form_begins_with_the_typical_row(page: Page, servers: dict[str, Server]) -> None:
    """Each column has a field of its kind with its typical value, and the answer to that row is there and said."""
    describe = json.loads(servers["logistic"].ask("GET", "/page/model")[2])
    usual = {each["name"]: each["typical"] for each in describe["columns"]}
    see_answer(page, servers["logistic"], **usual)
    assert page.get_by_role("spinbutton", name="age", exact=True).input_value() == str(int(usual["age"]))
    assert page.get_by_role("slider", name="age, slider").get_attribute("min") == "18"
    assert page.get_by_role("combobox", name="city").locator("option").all_inner_texts() == [
        "Berlin",
        "Paris",
        "Łódź",
        "(another level)",
        "(missing)",
    ]
    assert page.get_by_role("combobox", name="smoker").locator("option").all_inner_texts() == [
        "false",
        "true",
        "(missing)",
    ]
    assert page.get_by_role("application").count() == 0
    announced(page, r"^(sick|well), (over )?[0-9.]+ % sure$")


def test_the_answer_moves_with_each_kind_of_value(page: Page, servers: dict[str, Server]) -> None:
    """A slider by its keys, a number, a level, another level and missing values are answered as by the protocol."""
    server = servers["logistic"]
    slider = page.get_by_role("slider", name="age, slider")
    before = int(page.get_by_label("age", exact=True).input_value())
    slider.focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    see_answer(page, server, age=before + 3)
    page.get_by_label("income", exact=True).fill("123456.78")
    see_answer(page, server, income=123456.78)
    page.get_by_label("city").select_option("Paris")
    see_answer(page, server, city="Paris")
    page.get_by_label("city").select_option("(another level)")
    see_answer(page, server, city="another level")
    page.get_by_label("city").select_option("(missing)")
    page.get_by_label("smoker").select_option("(missing)")
    page.get_by_label("age is missing").check()
    see_answer(page, server, city=None, smoker=None, age=None)
    assert page.get_by_label("age", exact=True).is_disabled()
    page.get_by_label("age is missing").uncheck()
    see_answer(page, server, age=before + 3)
    page.get_by_role("button", name="Typical row").click()
    see_answer(page, server, age=before, smoker=False)


def test_what_is_no_number_is_not_asked(page: Page) -> None:
    """An empty field of a number that may not be missing is said, and nothing is asked."""
    page.get_by_label("income", exact=True).fill("")
    expect(page.locator("#confidence")).to_have_text("income needs a number")
    expect(page.get_by_label("income", exact=True)).to_have_attribute("aria-invalid", "true")
    page.get_by_label("income", exact=True).fill("1e9")
    answered(page)
    expect(page.locator(".told.beyond")).to_have_text("trained on 1034.44 to 282105")


def test_only_the_latest_row_is_answered(page: Page, servers: dict[str, Server]) -> None:
    """While an answer is awaited, changes gather: one question follows for all, and the latest answer stays."""
    held: list[Any] = []

    def hold(route: Any) -> None:
        held.append(route)
        if len(held) > 1:
            route.continue_()

    page.route("**/page/row", hold)
    field = page.get_by_label("age", exact=True)
    with page.expect_request("**/page/row"):
        field.fill("20")
    for age in range(21, 81):
        field.fill(str(age))
    page.wait_for_timeout(200)  # so that more questions would have come, if there were any
    assert len(held) == 1
    held[0].continue_()
    see_answer(page, servers["logistic"], age=80)
    assert len(held) == 2


def test_another_model_takes_over(browser: Browser, tmp_path: Path) -> None:
    """When the server gets another model, the form becomes that model's, and values that fit stay."""
    train_mixed(tmp_path, MODELS["logistic"])
    refused = "status of 400"  # the first row that the new model is asked is one of the old one's
    with serving(tmp_path / "artifact") as server, opened(browser, server, refused) as page:
        answered(page)
        page.get_by_label("city").select_option("Paris")
        config = {
            "dataset": {"path": str(tmp_path / "patients.csv"), "target": "diagnosis", "drop": ["plan"]},
            "preprocess": "auto",
            "model": MODELS["forest"],
            "gate": {"beats_baseline": False, "min_accuracy": 0.3, "min_f1": 0.3},
        }
        artifact_pipeline.train(config, artifact=tmp_path / "artifact", export=tmp_path / "model.pkl")
        server.process.send_signal(signal.SIGHUP)
        expect(page.locator("#digest")).to_be_visible()
        old = page.locator("#digest").get_attribute("title")
        for age in range(30, 90):
            page.get_by_label("age", exact=True).fill(str(age))
            page.wait_for_timeout(100)
            if page.locator("#digest").get_attribute("title") != old:
                break
        expect(page.get_by_label("plan")).to_have_count(0)
        assert page.get_by_label("city").locator("option:checked").inner_text() == "Paris"
        expect(page.locator("#spoke-told")).to_contain_text("An estimate")


# --- what spoke for it


def test_what_spoke_is_exact_for_a_linear_model(page: Page) -> None:
    """The columns are listed by what they add, and the page says that this is exact."""
    page.get_by_label("city").select_option("Paris")
    first = page.locator("#spoke li").first
    expect(first).to_contain_text("city Paris")
    expect(first.locator(".track")).to_have_class("track both for")
    expect(page.locator("#spoke-told")).to_have_text(
        f"Exact: the scores of this model are sums of coefficient {TIMES} transformed value. "
        "A bar is what its column adds to sick less what it adds to well."
    )
    assert page.get_by_role("list", name="What spoke for it").get_by_role("listitem").count() == 6


def test_what_spoke_is_an_estimate_for_a_forest(browser: Browser, servers: dict[str, Server]) -> None:
    """Of a model that is not linear the page compares with the typical value, says so, and nothing spoke for that."""
    with opened(browser, servers["forest"]) as page:
        answered(page)
        expect(page.locator("#spoke-told")).to_contain_text("no column makes a difference")
        page.get_by_label("age", exact=True).fill("18")
        page.get_by_label("city").select_option("(another level)")
        words = f"^(age 18|city another level)[+{MINUS}][0-9.]+ %$"
        expect(page.locator("#spoke li").first).to_have_text(re.compile(words))
        estimate = (
            "An estimate, column by column: how much probability (sick|well) would lose if the column were typical."
        )
        expect(page.locator("#spoke-told")).to_have_text(re.compile(estimate))


def test_scores_are_called_scores(browser: Browser, servers: dict[str, Server]) -> None:
    """A model without probabilities gets bars of scores, and the page says what they are."""
    with opened(browser, servers["ridge"]) as page:
        answered(page)
        expect(page.locator("#answers-told")).to_contain_text("scores, which are no probabilities")
        assert page.get_by_role("list", name="Scores").get_by_role("listitem").count() == 2
        assert "%" not in page.locator(".answer").inner_text()
        answer = asked(servers["ridge"], sent(page))
        shown = [float(each.replace(MINUS, "-")) for each in page.locator("#bars .value").all_inner_texts()]
        assert np.allclose(shown, answer["scores"], rtol=1e-3)


# --- text stays text


def test_levels_labels_and_names_stay_text(browser: Browser, hostile: Path) -> None:
    """HTML in a level, a label, a column's or a file's name is shown as it is, in the form, the bars and the table."""
    with serving(hostile / "artifact") as server, opened(browser, server) as page:
        answered(page)
        page.on("dialog", lambda _: pytest.fail("a script has run"))
        page.get_by_label(IMAGE).select_option(TAG)
        page.get_by_label("b", exact=True).fill("5")
        expect(page.locator("#label")).to_have_text(TAG)
        expect(page.locator("#bars b")).to_have_text([TAG, "no"])
        expect(page.locator("#spoke li").first).to_contain_text(re.compile(r"<img|b 5"))
        page.get_by_label(IMAGE).select_option(FORMULA)
        page.get_by_label(IMAGE).select_option("constructor")
        page.get_by_label(IMAGE).select_option("(missing)")
        answered(page)
        dropped(page, f"{TAG}.csv", "text/csv", (hostile / "rows.csv").read_bytes())
        announced(page, "200 rows answered")
        expect(page.locator("#table-title")).to_have_text(f"{TAG}.csv")
        expect(page.locator("#first tbody tr").nth(1)).to_contain_text(TAG)
        assert page.locator("img, body script").count() == 0


# --- files


def test_the_sample_is_downloaded_and_answered(page: Page, tmp_path: Path) -> None:
    """The sample is a file with the model's columns; opened again, each of its rows is answered."""
    with page.expect_download() as got:
        page.get_by_role("link", name="Sample CSV").click()
    assert got.value.suggested_filename == f"{page.locator('#name').inner_text()}-sample.csv"
    got.value.save_as(tmp_path / "sample.csv")
    rows = (tmp_path / "sample.csv").read_text().splitlines()
    page.locator("#file").set_input_files(tmp_path / "sample.csv")
    announced(page, f"{len(rows) - 1} rows answered, 0 set aside")
    assert page.get_by_label("wrong answers alone").is_hidden()


def test_a_table_is_sorted_filtered_turned_and_downloaded(
    page: Page, servers: dict[str, Server], folders: dict[str, Path], tmp_path: Path
) -> None:
    """The answers to a table are sorted by any column, filtered to wrong ones, shown in pages, tried, downloaded."""
    data = folders["logistic"] / "patients.csv"
    page.locator("#file").set_input_files(data)
    announced(page, "400 rows answered, 0 set aside. These are the model's own rows.")
    column = {name: at for at, name in enumerate(page.locator("#first thead th").all_inner_texts())}
    ages = page.locator(f"#first tbody tr > :nth-child({column['age'] + 1})")
    page.get_by_role("button", name="age", exact=True).click()
    announced(page, "Sorted by age, ascending")
    found = [int(each) for each in ages.all_inner_texts()]
    assert found == sorted(found)
    page.get_by_role("button", name="age", exact=True).click()
    announced(page, "Sorted by age, descending")
    assert int(ages.first.inner_text()) == max(row[0] for row in mixed_rows() if row[0])
    assert page.locator("#first th[aria-sort]").count() == 1
    expect(page.locator("#rows-told")).to_have_text("1 to 100 of 400")
    for _ in range(3):
        page.get_by_role("button", name="Later").click()
    expect(page.locator("#rows-told")).to_have_text("301 to 400 of 400")
    assert page.get_by_role("button", name="Later").is_disabled()
    assert ages.last.inner_text() == "", "what is missing stands last"
    page.get_by_label("wrong answers alone").check()
    wrong = page.locator("#first tbody tr")
    for row in wrong.all_inner_texts():
        _, was, answer, *_ = row.split()
        assert was != answer
    assert wrong.count() == int(page.locator("#rows-told").inner_text().rpartition(" ")[2])
    with page.expect_download() as got:
        page.get_by_role("button", name="Download answers").click()
    assert got.value.suggested_filename == "patients-answers.csv"
    got.value.save_as(tmp_path / "answers.csv")
    assert (tmp_path / "answers.csv").read_bytes() == servers["logistic"].ask(
        "POST", "/page/answers.csv", data.read_bytes()
    )[2]
    head = next(csv.reader(io.StringIO((tmp_path / "answers.csv").read_text())))
    assert head[0] == "row"
    assert head[-3:] == ["predicted", "probability_sick", "probability_well"]
    page.get_by_label("wrong answers alone").uncheck()
    page.get_by_role("button", name="Row", exact=True).click()
    page.get_by_role("button", name="Put row 0 into the form").click()
    _, income, made, *_ = mixed_rows()[0]
    see_answer(page, servers["logistic"], age=None, income=income, made=made, city=None)


def test_a_file_that_is_too_large_is_not_sent(page: Page) -> None:
    """A file beyond the server's bound is refused on the spot, with the way out."""
    asked_for: list[str] = []
    page.on("request", lambda request: asked_for.append(request.url))
    page.evaluate("""() => {
      const transfer = new DataTransfer();
      transfer.items.add(new File([new Uint8Array((8 << 20) + 1)], 'large.csv', {type: 'text/csv'}));
      document.body.dispatchEvent(new DragEvent('drop', {bubbles: true, cancelable: true, dataTransfer: transfer}));
    }""")
    alert = page.get_by_role("alert").filter(has_text="large.csv has more than 8,388,608 bytes")
    expect(alert).to_contain_text("artifact-pipeline predict takes files of any size")
    assert not [url for url in asked_for if "page/table" in url]


# --- how it looks, and to whom


def fill_page(page: Page, folder: Path) -> None:
    """Open all sections of the page."""
    answered(page)
    page.get_by_label("city").select_option("Paris")
    page.locator("#file").set_input_files(folder / "patients.csv")
    announced(page, "400 rows answered")
    page.get_by_text("This row by the protocol").click()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 760, 1280])
def test_it_fits_each_width_and_its_text_stands_out(
    browser: Browser, servers: dict[str, Server], folders: dict[str, Path], scheme: str, width: int
) -> None:
    """From a phone to a desk, in light and dark, nothing is wider than the window, and all text has enough contrast."""
    window = {"viewport": {"width": width, "height": 800}, "color_scheme": scheme, "reduced_motion": "reduce"}
    with opened(browser, servers["ridge"], **window) as page:
        fill_page(page, folders["ridge"])
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(LOW_CONTRAST) == []


def test_on_a_phone_the_answer_stays_in_sight(browser: Browser, servers: dict[str, Server]) -> None:
    """While one scrolls to the last field on a phone, the answer stands above it."""
    with opened(browser, servers["logistic"], **PHONE) as page:
        answered(page)
        page.get_by_label("smoker").scroll_into_view_if_needed()
        page.get_by_label("smoker").select_option("true")
        assert page.locator("#label").is_visible()
        box, field = page.locator("#saying").bounding_box(), page.get_by_label("smoker").bounding_box()
        assert box is not None
        assert field is not None
        assert 0 <= box["y"] < field["y"] < 780


def test_each_field_is_reached_by_tab(page: Page) -> None:
    """Tab goes through all fields in the order of the columns, each with a label and a visible focus."""
    page.get_by_label("age", exact=True).focus()
    reached = []
    for _ in range(9):
        name = "document.activeElement.ariaLabel || document.activeElement.labels[0].textContent"
        reached.append(page.evaluate(name))
        page.keyboard.press("Tab")
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    numbers = ["age", "missing", "age, slider", "income", "income, slider", "made", "made, slider"]
    assert reached == [*numbers, "city", "plan"]


def test_the_documented_picture_is_the_form(browser: Browser, servers: dict[str, Server], tmp_path: Path) -> None:
    """The form as the documentation shows it; UPDATE_SCREENSHOT=1 takes the picture again."""
    place = SHOT if os.environ.get("UPDATE_SCREENSHOT") else tmp_path / "form.png"
    with opened(browser, servers["logistic"], **{**DESK, "viewport": {"width": 1180, "height": 900}}) as page:
        answered(page)
        page.get_by_label("city").select_option("Paris")
        expect(page.locator("#spoke li").first).to_contain_text("city Paris")
        page.evaluate("document.activeElement.blur()")
        page.wait_for_timeout(400)  # until the bars have come to rest
        page.locator(".asking").screenshot(path=place)
    with Image.open(place) as taken:
        taken.convert("RGB").quantize(64).save(place, optimize=True)
    with Image.open(place) as taken, Image.open(SHOT) as documented:
        assert taken.width == documented.width
    assert SHOT.stat().st_size <= 60_000
