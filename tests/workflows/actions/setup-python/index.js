const { execFileSync } = require("node:child_process");
const fs = require("node:fs");
const path = require("node:path");
const core = require("@actions/core");

try {
  const version = core.getInput("python-version", { required: true });
  const dependencies = path.resolve(process.env.GITHUB_WORKSPACE, core.getInput("cache-dependency-path"));
  if (!fs.existsSync(dependencies)) throw new Error(`No file matched to [${dependencies}]`);

  const program = ["-c", "import sys; print('%d.%d' % sys.version_info[:2], sys.executable)"];
  const [found, executable] = execFileSync(`python${version}`, program, { encoding: "utf8" }).trim().split(" ");
  if (found !== version) throw new Error(`Python ${version} is asked for, python${version} is ${found}`);

  const bin = path.join(process.env.RUNNER_TEMP, "setup-python");
  fs.mkdirSync(bin, { recursive: true });
  for (const name of ["python", "python3"]) fs.symlinkSync(executable, path.join(bin, name));
  core.addPath(bin);
} catch (error) {
  core.setFailed(error.code === "ENOENT" ? `this Python is not here: ${error.message}` : error.message);
}
