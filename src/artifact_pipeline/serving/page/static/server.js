'use strict';
// The server: how it is asked, and what is done while it is gone.

import { notice, pause } from './base.js';

/** What the server says no to, with its status; it is not asked again. */
export class Refused extends Error {
  constructor(message, status = 0) {
    super(message);
    this.status = status;
  }
}

/** Whether the server is gone, which artifact it had at last, and what is called once it has another one. */
export const server = { away: false, digest: null, changed: async () => {} };

/**
 * Ask the server, and `read` its answer; while it is gone, or sends away, try again for as long as `wanted` says so.
 * Then it is null.
 */
export async function ask(path, body, wanted = () => true, read = (response) => response.json()) {
  for (let wait = 500; ; wait = Math.min(2 * wait, 4000)) {
    try {
      const response = await fetch(path, body === undefined ? {} : { method: 'POST', body });
      const answer = response.ok ? read(response) : response.json();
      const value = await answer.catch(() => ({})); // what stands between us and the server speaks HTML
      if (response.ok || (response.status < 500 && response.status !== 408)) {
        if (server.away) notice('');
        server.away = false;
        const digest = response.headers.get('artifact-digest');
        if (server.digest && digest && digest !== server.digest && path !== 'page/model') await server.changed();
        if (!response.ok) throw new Refused(value.error ?? `the server answered ${response.status}`, response.status);
        return value;
      }
      notice(`The server says: ${value.error ?? response.status}. Trying again …`);
    } catch (error) {
      if (error instanceof Refused) throw error;
      notice('The server does not answer. Trying again …');
    }
    server.away = true;
    await pause(wait);
    if (!wanted()) return null;
  }
}
