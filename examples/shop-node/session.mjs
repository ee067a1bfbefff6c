// The shop's own sign-in: a cookie that the shop signs. Use your own here; FlashReserve never sees it.
import { createHmac, timingSafeEqual } from "node:crypto";

const { SESSION_SECRET } = process.env;
const sign = (text) => createHmac("sha256", SESSION_SECRET).update(`${text}`).digest("base64url");

/** The cookie of a customer who has signed in, by the shop's own number of the customer. */
export const cookieOf = (number) => `session=${number}.${sign(number)}`;

/** The customer's id at FlashReserve, such as `shop:42`; undefined if nobody is signed in. */
export function signedIn(request) {
  const [, number, signature] = /(?:^|; )session=(\d+)\.([\w-]{43})(?:;|$)/.exec(request.headers.get("cookie")) ?? [];
  if (!number || !timingSafeEqual(Buffer.from(signature), Buffer.from(sign(number)))) return undefined;
  return `shop:${number}`;
}
