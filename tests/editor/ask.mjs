// Prints what the language service of VS Code offers in a config, and what it marks there.
// Usage: node ask.mjs SCHEMA < CONFIG; the config holds | where the cursor is.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import languages from "vscode-json-languageservice";

const { getLanguageService, TextDocument } = languages;

const schema = pathToFileURL(process.argv[2]).href;
const asked = [];
const service = getLanguageService({
  schemaRequestService: async (uri) => {
    asked.push(uri);
    if (uri !== schema) throw new Error(`${uri} is not the schema beside the config`);
    return readFileSync(new URL(uri), "utf8");
  },
  workspaceContext: { resolveRelativePath: (path, base) => new URL(path, base).href },
});
service.configure({ validate: true, allowComments: false });

const written = readFileSync(0, "utf8");
const cursor = written.indexOf("|");
const text = written.replace("|", "");
const config = TextDocument.create(new URL("config.json", schema).href, "json", 1, text);
const parsed = service.parseJSONDocument(config);
const marks = await service.doValidation(config, parsed);
const place = config.positionAt(Math.max(cursor, 0));
const offers = cursor < 0 ? null : await service.doComplete(config, place, parsed);
const hover = cursor < 0 ? null : await service.doHover(config, place, parsed);
console.log(
  JSON.stringify({
    asked,
    marks: marks.map((mark) => ({ at: config.getText(mark.range), message: mark.message })),
    offers: offers?.items.map((item) => item.label) ?? [],
    hover: hover?.contents ?? [],
  }),
);
