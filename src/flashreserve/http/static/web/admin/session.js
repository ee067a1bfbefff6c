/* Who is signed in. The token is in a cookie that scripts can't read; the server answers whose it is. */
import { call } from '../shared/api.js';
import { serverNow } from '../shared/clock.js';
import { callPatiently } from './patient_call.js';
import { makeStore } from '../shared/store.js';

const REFRESH_MS_MIN = 20_000;
const KNOWN = ['in', 'over'];

const session = makeStore({ state: 'unknown', account: null });
let refreshTimer;

/**
 * The session: `state` is `unknown` (not asked yet), `out`, `over` (it ended while the console was open), `foreign` (an
 * account that is no admin's), or `in`; `account` is who is signed in.
 */
export const useSession = session.use;

/** Ask the API, as the admin who is signed in. If the session is over, the console asks to sign in again. */
export async function ask(method, path, options) {
  return await checked(await call(method, path, options));
}

/** The same for a request that takes longer than others do. */
export async function askPatiently(method, path) {
  return await checked(await callPatiently(method, path));
}

async function checked(answer) {
  if (answer.status === 401 && session.read().state === 'in') end('over');
  if (answer.problem?.code === 'forbidden') await checkSession();
  return answer;
}

/** Ask who is signed in. Resolves to the answer. */
export async function checkSession() {
  const answer = await call('GET', 'auth/me');
  if (answer.ok) begin(answer.data);
  else if (answer.status === 401 || answer.status === 404) end(KNOWN.includes(session.read().state) ? 'over' : 'out');
  return answer;
}

/** Sign in. Resolves to the answer; after a good one the session has begun. */
export async function signIn(email, password) {
  const answer = await call('POST', 'auth/login', { body: { email, password } });
  if (answer.ok) await checkSession();
  return answer;
}

/** Sign out in this browser. */
export async function signOut() {
  const answer = await call('POST', 'auth/logout');
  if (answer.ok) end('out');
  return answer;
}

function begin(account) {
  const known = session.read();
  const state = account.role === 'admin' ? 'in' : 'foreign';
  if (known.state === state && known.account.id === account.id) return;
  session.write({ state, account });
  clearTimeout(refreshTimer);
  if (state === 'in') refresh();
}

function end(state) {
  clearTimeout(refreshTimer);
  session.write({ state, account: null });
}

/** Get a fresh token after half the lifetime of the present one, so that a sale of some hours is no reason to sign in
 * again. The server stops that twelve hours after signing in. */
async function refresh() {
  try {
    const { ok, data } = await call('POST', 'auth/refresh');
    if (!ok || session.read().state !== 'in') return;
    const lifetimeMs = Date.parse(data.expiresAt) - serverNow();
    refreshTimer = setTimeout(refresh, Math.max(REFRESH_MS_MIN, lifetimeMs / 2));
  } catch {
    refreshTimer = setTimeout(refresh, REFRESH_MS_MIN);
  }
}
