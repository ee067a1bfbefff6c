/* The time of the service, by which sales open and holds lapse. The visitor's own clock may be wrong. */
import { call } from './api.js';

const SAMPLES = 3;
const AGAIN_MS = 10 * 60_000;
const AGAIN_WHEN_SHOWN_MS = 60_000;

/** What to add to `performance.now()`. Until it is measured, the visitor's clock counts. */
let offsetMs = Date.now() - performance.now();
let measuredAtMs = -Infinity;
let watching = false;

/** The time of the service, in ms since 1970. It goes on evenly when the visitor's clock is changed. */
export const serverNow = () => performance.now() + offsetMs;

/**
 * Measure the time of the service, now and from time to time: of three answers, the one with the shortest way counts,
 * because half of the way is the error that is possible. Without an answer, the time stays as it was.
 */
export async function measureClock() {
  watch();
  measuredAtMs = performance.now();
  let best = { tripMs: Infinity };
  for (let n = 0; n < SAMPLES; n += 1) {
    const sample = await sampleTime();
    if (sample && sample.tripMs < best.tripMs) best = sample;
  }
  if (best.offsetMs !== undefined) ({ offsetMs } = best);
}

async function sampleTime() {
  const sentMs = performance.now();
  try {
    const { ok, data } = await call('GET', 'time', { cookies: false });
    const tripMs = performance.now() - sentMs;
    return ok ? { tripMs, offsetMs: Date.parse(data.now) - (sentMs + tripMs / 2) } : null;
  } catch {
    return null;
  }
}

/** In some browsers `performance.now()` stands still while the machine sleeps: measure when the page is shown again. */
function watch() {
  if (watching) return;
  watching = true;
  setInterval(measureClock, AGAIN_MS);
  document.addEventListener('visibilitychange', () => {
    const ageMs = performance.now() - measuredAtMs;
    if (document.visibilityState === 'visible' && ageMs > AGAIN_WHEN_SHOWN_MS) measureClock();
  });
}
