'use strict';
// The answer in large letters.

import { $ } from './base.js';

/** Show the answer. */
export function setSaying(state, label, wording, confidence) {
  $('saying').className = `saying ${state}`;
  $('label').textContent = label;
  $('label').classList.toggle('long', String(label).length > 2);
  $('wording').textContent = wording;
  $('confidence').textContent = confidence;
}

/** The position of the greatest number except the one at `best`; -1 where there is no other. */
export function secondBest(values, best) {
  return values.reduce((top, value, at) => (at !== best && (top < 0 || value > values[top]) ? at : top), -1);
}
