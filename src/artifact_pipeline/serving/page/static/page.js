'use strict';
// The page of any model: its name, its figures, and files that are dropped. A panel sends single rows.

import { $, count, notice } from './base.js';
import { markColumn, showDigest, showMeasured } from './measured.js';
import { ask, server } from './server.js';
import { hideTable, showTable } from './table.js';

export { markColumn };

let panel = null;
let model = null;

// Files

let tables = 0;

async function take(file) {
  if (!file || await panel.take(file)) return;
  if (!/\.csv$/i.test(file.name) && !/csv|text\/plain/.test(file.type)) {
    notice(`${file.name}: this page takes ${panel.takes}`);
    return;
  }
  if (file.size > model.max_body) {
    const most = `${count(model.max_body)} bytes`;
    notice(`${file.name} has more than ${most}; artifact-pipeline predict takes files of any size`);
    return;
  }
  const mine = ++tables;
  try {
    const held = new Blob([await file.arrayBuffer()]); // it is sent again for the download; the file may change
    const value = await ask('page/table', held, () => mine === tables);
    if (value && mine === tables) showTable(file.name, held, value, model, panel.use);
  } catch (refused) {
    notice(`${file.name}: ${refused.message}`);
  }
}

/** Open the dialog to choose a file. */
export function open() {
  $('file').click();
}

$('file').addEventListener('change', () => {
  void take($('file').files[0]);
  $('file').value = '';
});
document.addEventListener('paste', (event) => void take(event.clipboardData?.files[0]));
document.addEventListener('dragover', (event) => {
  event.preventDefault();
  document.body.classList.add('dropping');
});
document.addEventListener('dragleave', (event) => {
  if (!event.relatedTarget) document.body.classList.remove('dropping');
});
document.addEventListener('drop', (event) => {
  event.preventDefault();
  document.body.classList.remove('dropping');
  void take(event.dataTransfer.files[0]);
});

// The model

async function introduce() {
  const described = await ask('page/model');
  if (described.panel !== document.body.dataset.panel) {
    location.reload(); // the model needs another panel
    return;
  }
  model = described;
  server.digest = model.digest;
  tables++;
  hideTable();
  $('name').textContent = model.name;
  $('gate').textContent = { passed: 'gate passed', failed: 'gate failed' }[model.gate] ?? 'no gate';
  $('gate').classList.toggle('failed', model.gate !== 'passed');
  $('gate').hidden = false;
  showDigest($('digest'), model.digest);
  showDigest($('model-digest'), model.model);
  showMeasured(model, model.held_out);
  panel.introduce(model);
}

/**
 * Start the page with its panel: `introduce` gets each model, `take` gets each file and returns whether it was one for
 * the panel, `takes` names the files that the page takes, and `use`, if there is one, gets a row of a table.
 */
export function start(ours) {
  panel = ours;
  server.changed = introduce;
  introduce().catch((error) => notice(error.message));
}
