const { execFileSync } = require("node:child_process");
const fs = require("node:fs");
const core = require("@actions/core");

function git(args, input) {
  execFileSync("git", args, { cwd: process.env.GITHUB_WORKSPACE, input, stdio: ["pipe", "inherit", "inherit"] });
}

try {
  const patterns = core.getMultilineInput("sparse-checkout");
  if (core.getBooleanInput("persist-credentials")) throw new Error("persist-credentials is not false");
  git(["init", "--quiet"]);
  git(["fetch", "--quiet", "--depth=1", `file://${process.env.CHECKOUT_FROM}`, process.env.GITHUB_SHA]);
  if (patterns.length > 0) {
    if (core.getBooleanInput("sparse-checkout-cone-mode")) throw new Error("cone mode is not known here");
    git(["sparse-checkout", "set", "--no-cone", "--stdin"], patterns.join("\n") + "\n");
  }
  git(["checkout", "--quiet", "--detach", "FETCH_HEAD"]);
  const names = fs.readdirSync(process.env.GITHUB_WORKSPACE).filter((name) => name !== ".git");
  core.info(`checked out: ${names.sort().join(" ")}`);
} catch (error) {
  core.setFailed(error.message);
}
