/* Repeating a request whose answer is lost, or that the service can't take now. */
import { NetworkError } from '../shared/api.js';

const TRIES_MAX = 8;
const FIRST_PAUSE_MS = 500;
const PAUSE_MS_MAX = 8000;
const SERVER_FAULT = 500;

/**
 * Send a request until there is an answer that says how it went, at most eight times. The pauses double, and are a
 * little random, so that the customers of an outage don't come back in one moment. The service's own wish for a later
 * time (Retry-After) is obeyed. When the browser is online again, the next try is at once.
 *
 * @param {(tries: number) => Promise<object>} send Gets the number of tries so far, and returns an answer of `call`.
 * @param {(tries: number) => void} onAgain Is told that the request will be sent again, before the pause.
 * @returns {Promise<{answer: object | null, tries: number}>} The answer is null if there is none after all tries.
 */
export async function repeat(send, onAgain) {
  for (let tries = 0; tries < TRIES_MAX; tries += 1) {
    const answer = await answerOf(send, tries);
    if (answer && answer.status < SERVER_FAULT) return { answer, tries: tries + 1 };
    if (tries + 1 === TRIES_MAX) break;
    onAgain(tries + 1);
    await pause(pauseMs(tries, answer));
  }
  return { answer: null, tries: TRIES_MAX };
}

async function answerOf(send, tries) {
  try {
    return await send(tries);
  } catch (error) {
    if (error instanceof NetworkError) return null;
    throw error;
  }
}

function pauseMs(tries, answer) {
  const usualMs = Math.min(FIRST_PAUSE_MS * 2 ** tries, PAUSE_MS_MAX);
  const wishedMs = 1000 * (answer?.problem?.retryAfterSeconds ?? 0);
  return Math.max(usualMs, wishedMs) + (Math.random() * usualMs) / 2;
}

function pause(ms) {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      removeEventListener('online', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    addEventListener('online', end);
  });
}
