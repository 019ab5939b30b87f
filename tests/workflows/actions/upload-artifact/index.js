const fs = require("node:fs");
const path = require("node:path");
const { DefaultArtifactClient } = require("@actions/artifact");
const core = require("@actions/core");

// As the real one: files with a leading dot, and whatever stands in such a folder, are left out.
function filesOf(place) {
  if (fs.statSync(place).isFile()) return [place];
  const names = fs.readdirSync(place).filter((name) => !name.startsWith("."));
  return names.flatMap((name) => filesOf(path.join(place, name)));
}

async function run() {
  const name = core.getInput("name", { required: true });
  const place = path.resolve(core.getInput("path", { required: true }));
  if (core.getInput("if-no-files-found") !== "error") throw new Error("if-no-files-found is not error");
  const files = fs.existsSync(place) ? filesOf(place) : [];
  if (files.length === 0) throw new Error(`No files were found with the provided path: ${place}`);
  const root = fs.statSync(place).isFile() ? path.dirname(place) : place;
  const retentionDays = Number.parseInt(core.getInput("retention-days", { required: true }), 10);
  const { id } = await new DefaultArtifactClient().uploadArtifact(name, files, root, { retentionDays });
  core.setOutput("artifact-id", id);
  core.info(`uploaded ${name}: ${files.map((file) => path.relative(root, file)).sort().join(" ")}`);
}

run().catch((error) => core.setFailed(error.message));
