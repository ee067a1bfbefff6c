import { NetworkError, root } from '../shared/api.js';

const TIMEOUT_MS = 10 * 60_000;

/** Ask for work that may take minutes, such as an audit: like `call`, which gives up after 15 seconds. */
export async function callPatiently(method, path) {
  try {
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const answer = await fetch(root + path, { method, headers: { Accept: 'application/json' }, signal });
    const { ok, status } = answer;
    const document = /json/.test(answer.headers.get('Content-Type') ?? '') ? await answer.json() : null;
    return { ok, status, data: ok ? document : null, problem: ok ? null : document };
  } catch (error) {
    throw new NetworkError(error.message, { cause: error });
  }
}
