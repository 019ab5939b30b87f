const { DefaultArtifactClient } = require("@actions/artifact");
const core = require("@actions/core");

async function run() {
  const ids = core.getInput("artifact-ids", { required: true }).split(",").map(Number);
  if (!core.getBooleanInput("merge-multiple")) throw new Error("merge-multiple is not true");
  const client = new DefaultArtifactClient();
  const { artifacts } = await client.listArtifacts();
  for (const id of ids) {
    const artifact = artifacts.find((each) => each.id === id);
    if (artifact === undefined) throw new Error(`this run has no artifact with the id ${id}`);
    await client.downloadArtifact(id, { path: core.getInput("path", { required: true }) });
    core.info(`downloaded ${artifact.name}`);
  }
}

run().catch((error) => core.setFailed(error.message));
