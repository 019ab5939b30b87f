'use strict';
// The panel of any model: a form of its columns.

import { $ } from './base.js';
import { open, start } from './page.js';

function introduce(model) {
  $('columns').textContent = model.features.slice(0, 20).join(', ') + (model.features.length > 20 ? ', …' : '');
}

$('open').addEventListener('click', open);
start({ introduce, take: () => false, takes: 'a CSV' });
