/* Server-sent events, with polling where a stream can't be had. */
import { call, root } from './api.js';

const RETRY_MS = 15_000;

/**
 * Follow a stream of the API until the returned function is called.
 *
 * A browser connects again by itself when a connection breaks, but gives up after an HTTP error, such as 503 when
 * there are as many streams as there may be. Then `pollPath` is asked every `pollEveryMs`, and the stream is tried
 * again every 15 seconds. `onState` is told 'live', 'reconnecting' or 'polling' at each change. A stream doesn't notice
 * that the browser goes offline, so that is listened to.
 *
 * @param {string} path
 * @param {{onEvent: (name: string, data: any) => void, onState: (state: string) => void}} listeners `data` is the
 *   event's document.
 * @param {{events?: string[], pollPath: string, pollEveryMs?: number, onPoll: (data: any) => void}} options
 * @returns {() => void}
 */
export function follow(path, { onEvent, onState }, { events = EVENTS, pollPath, pollEveryMs = 2000, onPoll }) {
  let source;
  let retry;
  let stopPolling;
  let told;

  function tell(state) {
    if (state !== told) onState(state);
    told = state;
  }

  function connect() {
    clearTimeout(retry);
    source?.close();
    source = new EventSource(root + path);
    source.onopen = () => {
      leavePolling();
      tell('live');
    };
    source.onerror = () => {
      if (source.readyState === EventSource.CLOSED) giveUp();
      else if (!stopPolling) tell('reconnecting');
    };
    for (const name of events) source.addEventListener(name, ({ data }) => onEvent(name, JSON.parse(data)));
  }

  function giveUp() {
    retry = setTimeout(connect, RETRY_MS);
    stopPolling ??= poll(pollPath, pollEveryMs, onPoll, tell);
  }

  function leavePolling() {
    stopPolling?.();
    stopPolling = undefined;
  }

  function disconnect() {
    clearTimeout(retry);
    leavePolling();
    source.close();
    tell('reconnecting');
  }

  tell('reconnecting');
  connect();
  addEventListener('offline', disconnect);
  addEventListener('online', connect);
  return () => {
    removeEventListener('offline', disconnect);
    removeEventListener('online', connect);
    disconnect();
  };
}

const EVENTS = ['stock', 'overview', 'history'];

function poll(path, everyMs, onPoll, tell) {
  let timer;
  const end = new AbortController();
  async function ask() {
    try {
      const { ok, data } = await call('GET', path, { signal: end.signal });
      tell(ok ? 'polling' : 'reconnecting');
      if (ok) onPoll(data);
    } catch {
      if (!end.signal.aborted) tell('reconnecting');
    }
    if (!end.signal.aborted) timer = setTimeout(ask, everyMs);
  }
  ask();
  return () => {
    end.abort();
    clearTimeout(timer);
  };
}
