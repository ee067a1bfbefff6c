/* The sales as they are now, by the stream of the API; or by polling, where no stream can be had. */
import { serverNow } from '../shared/clock.js';
import { follow } from '../shared/stream.js';
import { ask, checkSession } from './session.js';
import { makeStore } from '../shared/store.js';

/** The figures that the API counts per second. */
export const RATES = ['reserved', 'bought', 'refused', 'returned'];

const SECONDS = 15 * 60;
const QUIET_MS = 2000;

const live = makeStore({ connection: 'reconnecting', overview: null, rates: null });

/**
 * What is known now: `connection` (`live`, `reconnecting` or `polling`), `overview` (the body of `GET /overview`, or
 * null), and `rates`: for each of RATES the counts per second, oldest first, and `end`, the second after the last.
 */
export const useOverview = live.use;

/** Follow the sales until the returned function is called. */
export function followOverview() {
  const events = { overview: onOverview, history: onHistory };
  const stop = follow(
    'admin/events',
    { onEvent: (name, data) => events[name]?.(data), onState },
    { pollPath: 'overview', pollEveryMs: 2000, onPoll },
  );
  const timer = setInterval(passTime, QUIET_MS);
  return () => {
    clearInterval(timer);
    stop();
  };
}

/** Show the result of a change at once: `update(overview)` returns the overview with it. The API's is 2 s late. */
export function learn(update) {
  const { overview } = live.read();
  if (overview) change({ overview: update(overview) });
}

const change = (news) => live.write({ ...live.read(), ...news });

function onState(connection) {
  const before = live.read().connection;
  change({ connection });
  // A stream may break because the session is over.
  if (before !== 'reconnecting' && connection === 'reconnecting') checkSession().catch(() => undefined);
}

function onHistory(history) {
  const end = Math.round(Date.parse(history.start) / 1000) + history.reserved.length * history.everySeconds;
  change({ rates: ratesOf(end, (name) => history[name]) });
}

function onOverview(overview) {
  const { rates } = live.read();
  change({ overview, rates: rates && merged(rates, overview.recent) });
}

async function onPoll(overview) {
  onOverview(overview);
  if (live.read().rates) return;
  const { ok, data } = await ask('GET', 'overview/history').catch(() => ({}));
  if (ok) onHistory(data);
}

/** A live stream sends nothing while nothing happens: these seconds count as zeros. */
function passTime() {
  const { connection, rates } = live.read();
  const second = Math.floor(serverNow() / 1000) - 1;
  if (connection === 'live' && rates && rates.end < second) change({ rates: padded(rates, second) });
}

/** The rates with those of `recent`, which repeats the last seconds because their counts may have changed since. */
function merged(rates, recent) {
  const start = Math.round(Date.parse(recent.start) / 1000);
  const before = rates.end < start ? padded(rates, start) : rates;
  const join = (name) => [...before[name].slice(0, start - before.end || SECONDS), ...recent[name]].slice(-SECONDS);
  return ratesOf(start + recent.reserved.length, join);
}

function padded(rates, end) {
  const zeros = Array(Math.min(end - rates.end, SECONDS)).fill(0);
  return ratesOf(end, (name) => [...rates[name], ...zeros].slice(-SECONDS));
}

const ratesOf = (end, series) => ({ end, ...Object.fromEntries(RATES.map((name) => [name, series(name)])) });
