'use strict';
// Requests to the server, and retries while it does not answer.

import { notice, pause } from './base.js';

/** A request that the server refuses, with the status; it is not sent again. */
export class Refused extends Error {
  constructor(message, status = 0) {
    super(message);
    this.status = status;
  }
}

/** Whether the server is away, the digest of its latest artifact, and what is called once it serves another one. */
export const server = { away: false, digest: null, changed: async () => {} };

/**
 * Send a request, and `read` the response; while the server is away or busy, send it again as long as `wanted` returns
 * true. Then the result is null.
 */
export async function ask(path, body, wanted = () => true, read = (response) => response.json()) {
  for (let wait = 500; ; wait = Math.min(2 * wait, 4000)) {
    try {
      const response = await fetch(path, body === undefined ? {} : { method: 'POST', body });
      const answer = response.ok ? read(response) : response.json();
      const value = await answer.catch(() => ({})); // a proxy may answer in HTML
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
