/* Requests to the API of the service, which is at the same origin as the page. */

const TIMEOUT_MS = 15_000;

/** The address of the service, with a slash at its end. It has a path if the service runs below one. */
export const { root } = document.documentElement.dataset;

/** No answer came: offline, the connection was lost, or the time was up. The request may have been carried out. */
export class NetworkError extends Error {
  name = 'NetworkError';
}

/**
 * Ask the service. `path` is relative to `root`.
 *
 * @param {string} method
 * @param {string} path
 * @param {{body?: object, key?: string, token?: string, signal?: AbortSignal, cookies?: boolean}} [options] `key` is
 *   the idempotency key, `token` a bearer token. Without `cookies`, no cookie is sent or taken.
 * @returns {Promise<{ok: boolean, status: number, data: any, problem: any, headers: Headers, date: number | null}>}
 *   `data` is the answer's document, and `problem` the document of a refusal (RFC 9457); the other is null. `date` is
 *   when the server answered, in ms since 1970, to the second.
 * @throws {NetworkError} No answer came.
 */
export async function call(method, path, { body, key, token, signal, cookies = true } = {}) {
  const headers = { Accept: 'application/json' };
  if (key) headers['Idempotency-Key'] = key;
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  const request = {
    method,
    headers,
    credentials: cookies ? 'same-origin' : 'omit',
    body: body === undefined ? undefined : JSON.stringify(body),
  };
  return await within(TIMEOUT_MS, signal, async (end) => {
    const answer = await fetch(root + path, { ...request, signal: end });
    return outcome(answer, await answer.text());
  });
}

/** A new idempotency key. `randomUUID` exists in secure contexts only, and a local network has no TLS. */
export function newKey() {
  if (crypto.randomUUID) return crypto.randomUUID();
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

async function within(timeMs, signal, work) {
  const end = new AbortController();
  const leave = () => end.abort(signal.reason);
  const timer = setTimeout(() => end.abort(new Error(`no answer within ${timeMs} ms`)), timeMs);
  signal?.addEventListener('abort', leave);
  try {
    signal?.throwIfAborted();
    return await work(end.signal);
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    throw new NetworkError(error.message, { cause: error });
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', leave);
  }
}

/** The answer as `call` returns it. Proxies in front of the service answer with pages; these count as no document. */
function outcome(answer, text) {
  const { ok, status, headers } = answer;
  const type = headers.get('Content-Type') ?? '';
  const document = text && /^application\/(problem\+)?json/.test(type) ? JSON.parse(text) : null;
  const date = Date.parse(headers.get('Date') ?? '');
  return {
    ok,
    status,
    data: ok ? document : null,
    problem: ok ? null : document,
    headers,
    date: Number.isNaN(date) ? null : date,
  };
}
