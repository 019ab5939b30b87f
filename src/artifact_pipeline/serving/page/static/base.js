'use strict';
// What every part of the page uses: elements, numbers as text, and messages for screens and screen readers.

export const $ = (id) => document.getElementById(id);
export const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
export const percent = (share) => `${(100 * share).toFixed(1)} %`;
export const sure = (share) => (share > 0.999 ? 'over 99.9 %' : percent(share)); // no model is ever 100 % sure
export const count = (number) => number.toLocaleString('en');
export const a = (label) => (/^(8|11$|18$|[aeiou])/i.test(label) ? `an ${label}` : `a ${label}`);

/** An element with classes, text and children; text is never read as HTML. */
export function make(tag, className = '', content = '', ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(String(content), ...children);
  return element;
}

/** A button with a text and an action. */
export function button(text, act, className = '') {
  const element = Object.assign(make('button', className, text), { type: 'button' });
  element.addEventListener('click', act);
  return element;
}

/** The head of a row or of a column. */
export function scoped(scope, text) {
  return Object.assign(make('th', '', text), { scope });
}

let announcing = 0;

/** Announce a text to screen readers, unless a newer one comes soon. */
export function announce(text, after = 600) {
  clearTimeout(announcing);
  announcing = setTimeout(() => { $('announcement').textContent = text; }, after);
}

/** Show an error; an empty text hides it. */
export function notice(text) {
  $('notice').textContent = text;
  $('notice').hidden = !text;
}
