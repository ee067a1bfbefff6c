/*
 * Who is signed in. The token is kept in localStorage, where all tabs have it, and sent as a bearer token: the cookie
 * of the service is left alone, so that an admin can be signed in to the console in the same browser.
 */
import { call, root } from '../shared/api.js';
import { serverNow } from '../shared/clock.js';
import { makeStore } from '../shared/store.js';
import { repeat } from './repetition.js';

const SLOT = `flashreserve-customer:${root}`;
const REFRESH_RETRY_MS = 30_000;

/** The customer, as `{id, email, token, issuedAtMs, expiresAtMs}`; null for nobody; OVER once the token is refused. */
const session = makeStore(JSON.parse(localStorage.getItem(SLOT)));
let refreshAfterMs = 0;

const OVER = { over: true };

const orNull = (found) => (found?.token ? found : null);

/** The customer who is signed in, as `{id, email, token, …}`, or null. */
export const useCustomer = () => orNull(session.use());

/** The same, once. */
export const customerNow = () => orNull(session.read());

/** Whether the sign-in has ended by itself, without signing out. */
export const isSignInOver = () => session.read()?.over === true;

addEventListener('storage', ({ key, newValue }) => {
  if (key === SLOT) session.write(JSON.parse(newValue));
});

/** Ask the API as the customer. If the token is refused, the sign-in is over, in all tabs. */
export async function askAsCustomer(method, path, options) {
  const customer = customerNow();
  if (customer) refreshLate(customer);
  const answer = await call(method, path, { ...options, token: customer?.token, cookies: false });
  if (answer.status === 401 && customer && customerNow()?.token === customer.token) keep(OVER);
  return answer;
}

/** Sign in. Resolves to the answer, which is null if none came. */
export async function signIn(email, password) {
  const { answer } = await ask('auth/login', { email, password });
  if (!answer?.ok) return answer;
  const { token, expiresAt } = answer.data;
  const me = await repeat(
    () => call('GET', 'auth/me', { token, cookies: false }),
    () => undefined,
  );
  if (me.answer?.ok) keep({ ...lifeOf(token, expiresAt), id: me.answer.data.id, email: me.answer.data.email });
  return me.answer;
}

/**
 * Sign up, and sign in. If the answer to the first request was lost, the account may exist when it is repeated; then
 * the password shows whose it is.
 */
export async function signUp(email, password) {
  const { answer, tries } = await ask('auth/register', { email, password });
  if (answer?.ok) return await signIn(email, password);
  if (answer?.problem?.code !== 'email-taken' || tries === 1) return answer;
  const signedIn = await signIn(email, password);
  return signedIn?.status === 401 ? answer : signedIn;
}

/** Sign out, in all tabs. */
export const signOut = () => keep(null);

const ask = (path, body) =>
  repeat(
    () => call('POST', path, { body, cookies: false }),
    () => undefined,
  );

const lifeOf = (token, expiresAt) => ({ token, issuedAtMs: serverNow(), expiresAtMs: Date.parse(expiresAt) });

function keep(next) {
  session.write(next);
  if (next) localStorage.setItem(SLOT, JSON.stringify(next));
  else localStorage.removeItem(SLOT);
}

/** Get a fresh token when less than half of the life of this one is left. Requests needn't wait for it. */
async function refreshLate({ token, issuedAtMs, expiresAtMs }) {
  const now = serverNow();
  if (now < (issuedAtMs + expiresAtMs) / 2 || now < refreshAfterMs) return;
  refreshAfterMs = now + REFRESH_RETRY_MS;
  const answer = await call('POST', 'auth/refresh', { token, cookies: false }).catch(() => null);
  if (answer?.ok && customerNow()?.token === token) {
    keep({ ...customerNow(), ...lifeOf(answer.data.token, answer.data.expiresAt) });
  }
}
