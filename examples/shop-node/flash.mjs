// Requests to FlashReserve from a Node backend: an API key, a customer's id, and repeating where it is safe.
import { setTimeout } from "node:timers/promises";

const { API_URL = "http://localhost:3000", API_KEY } = process.env;
const TRIES = 3;
const TIMEOUT_MS = 10_000;

/** A refusal: `status`, and the problem document with `code`, `detail` and facts such as `available`. */
export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail ?? problem.title);
    Object.assign(this, { status, code: problem.code, problem });
  }
}

/**
 * Sends a request and returns the answer's JSON.
 *
 * `customer` is the full id, such as `shop:42`; without it, the shop itself acts. `key` is the Idempotency-Key. A
 * request is repeated after 503 and after a lost connection. A POST that takes units must therefore have a key.
 */
export async function flash(method, path, { customer, key, body } = {}) {
  const headers = { Authorization: `Bearer ${API_KEY}` };
  if (customer) headers["On-Behalf-Of"] = customer;
  if (key) headers["Idempotency-Key"] = key;
  if (body) headers["Content-Type"] = "application/json";
  for (let left = TRIES - 1; ; left -= 1) {
    let waitS = 1;
    try {
      const signal = AbortSignal.timeout(TIMEOUT_MS);
      const answer = await fetch(API_URL + path, { method, headers, body: body && JSON.stringify(body), signal });
      if (answer.ok) return await answer.json();
      if (answer.status !== 503 || left === 0) throw new Refused(answer.status, await answer.json());
      waitS = Number(answer.headers.get("Retry-After") ?? 1);
    } catch (error) {
      if (error instanceof Refused || left === 0) throw error;
    }
    await setTimeout(1_000 * waitS);
  }
}

/** Holds units for a customer. `click` is new for each click on "buy", and the same for its repetitions. */
export const reserve = (customer, productId, { quantity = 1, order, click }) =>
  flash("POST", `/products/${productId}/reservations`, { customer, key: click, body: { quantity, externalId: order } });

export const buy = (customer, id) => flash("POST", `/checkout/${id}`, { customer });

export const cancel = (customer, id) => flash("DELETE", `/reservations/${id}`, { customer });

export const giveBack = (id, lines, key) => flash("POST", `/reservations/${id}/returns`, { key, body: { lines } });
