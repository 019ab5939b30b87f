'use strict';
// The fields of a form: one for each column of the model, for any value that the model takes.

import { make } from './base.js';

const EXACT = 200; // a slider over at most so many whole numbers has a step for each

const text = (number) => String(Number.isInteger(number) ? number : Number(number.toPrecision(6)));

/** An option of a menu: a value of the column, and the text that is shown. */
const choice = (value, words) => ({ value, words });

/** The option of a missing value, where a value may be missing. */
const missing = (column) => (column.nullable ? [choice(null, '(missing)')] : []);

/** A text that is not one of the levels. */
function another(levels) {
  let found = 'another level';
  while (levels.includes(found)) found += '-';
  return found;
}

/** A menu; its options are numbered, so that no value of the column becomes a part of the page. */
function menu(choices, id, changed) {
  const select = Object.assign(make('select'), { id });
  select.append(...choices.map(({ words }, at) => Object.assign(make('option', '', words), { value: at })));
  select.addEventListener('change', changed);
  return {
    parts: [select],
    get: () => choices[select.value]?.value,
    set(value) {
      const at = choices.findIndex((each) => each.value === value);
      select.value = at < 0 ? choices.findIndex((each) => each.other) : at;
    },
  };
}

function category(column, id, changed) {
  const levels = column.levels.map((level) => choice(level, level));
  const other = { ...choice(another(column.levels), '(another level)'), other: true };
  return menu([...levels, ...(column.other ? [other] : []), ...missing(column)], id, changed);
}

function truth(column, id, changed) {
  if (column.nullable) return menu([choice(false, 'false'), choice(true, 'true'), ...missing(column)], id, changed);
  const box = Object.assign(make('input'), { type: 'checkbox', id });
  box.addEventListener('change', changed);
  return { parts: [box], get: () => box.checked, set(value) { box.checked = value === true; } };
}

/** The nearest number with as many digits as a slider can resolve. */
function rounded(value, { low, high, whole }) {
  const digits = whole ? 0 : Math.min(20, Math.max(0, 3 - Math.floor(Math.log10(high - low))));
  return Math.min(high, Math.max(low, Number(value.toFixed(digits))));
}

function number(column, id, changed) {
  const { low, high, whole, nullable } = column;
  const field = Object.assign(make('input'), { type: 'number', step: 'any', id, required: !nullable });
  const slider = Object.assign(make('input'), { type: 'range', min: low, max: high });
  slider.step = whole && high - low <= EXACT ? 1 : 'any';
  slider.setAttribute('aria-label', `${column.name}, slider`);
  const told = make('span', 'told soft', `trained on ${text(low)} to ${text(high)}`);
  told.id = `${id}-told`;
  field.setAttribute('aria-describedby', told.id);
  const gap = Object.assign(make('input'), { type: 'checkbox', id: `${id}-missing` });
  const gapLabel = Object.assign(make('label', 'gap', '', gap, 'missing'), { htmlFor: gap.id });
  gapLabel.setAttribute('aria-label', `${column.name} is missing`);
  let last = low;

  function show() {
    const value = field.valueAsNumber;
    field.setAttribute('aria-invalid', !gap.checked && Number.isNaN(value));
    told.classList.toggle('beyond', !gap.checked && (value < low || value > high));
    field.disabled = slider.disabled = gap.checked;
  }
  field.addEventListener('input', () => {
    if (!Number.isNaN(field.valueAsNumber)) slider.value = last = field.valueAsNumber;
    show();
    changed();
  });
  slider.addEventListener('input', () => {
    field.value = last = rounded(slider.valueAsNumber, column);
    show();
    changed();
  });
  gap.addEventListener('change', () => {
    field.value = gap.checked ? '' : last;
    show();
    changed();
  });
  const slides = low < high && Number.isFinite(high - low);
  return {
    parts: [field, ...(nullable ? [gapLabel] : []), ...(slides ? [slider] : []), told],
    get: () => (gap.checked ? null : Number.isNaN(field.valueAsNumber) ? undefined : field.valueAsNumber),
    set(value) {
      gap.checked = value === null;
      if (value !== null) slider.value = last = value;
      field.value = value ?? '';
      show();
    },
  };
}

const KINDS = { number, category, boolean: truth };

/**
 * The field of a column: its element; `get`, which returns null for a missing value and undefined where the text is no
 * value; and `set`.
 */
export function fieldOf(column, at, changed) {
  const id = `column-${at}`;
  const { parts, get, set } = KINDS[column.kind](column, id, changed);
  const label = Object.assign(make('label', 'of', column.name), { htmlFor: id });
  return { element: make('div', `field ${column.kind}`, '', label, ...parts), get, set };
}
