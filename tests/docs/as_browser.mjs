// Runs the module of docs/shop-browser.md as a page of an origin would: `node as_browser.mjs DIRECTORY`.
//
// Node's fetch knows no origins. So the one below sends `Origin` and preflights, keeps cookies, and refuses an answer
// that the service doesn't allow the origin to read, as browsers do (the Fetch standard, "CORS protocol").
// The settings are in the environment: ORIGIN, API_URL, and TOKEN, or EMAIL and PASSWORD. It prints JSON.
import assert from "node:assert/strict";
import { pathToFileURL } from "node:url";

const { ORIGIN, API_URL, TOKEN, EMAIL, PASSWORD } = process.env;
const send = globalThis.fetch;
const cookies = new Map();

function check(answer, credentials) {
  const { headers } = answer;
  const allowed = headers.get("Access-Control-Allow-Origin") === ORIGIN;
  const withCookies = headers.get("Access-Control-Allow-Credentials") === "true";
  if (!allowed || (credentials === "include" && !withCookies)) throw new TypeError(`${ORIGIN} may not read the answer`);
}

globalThis.fetch = async (url, { method = "GET", headers = {}, credentials, body } = {}) => {
  const unsafe = Object.keys(headers).map((name) => name.toLowerCase());
  if (unsafe.length || !["GET", "HEAD", "POST"].includes(method)) {
    const asked = { "Access-Control-Request-Method": method, "Access-Control-Request-Headers": unsafe.sort().join() };
    const preflight = await send(url, { method: "OPTIONS", headers: { ...asked, Origin: ORIGIN } });
    check(preflight, credentials);
    const list = (name) => preflight.headers.get(name).toLowerCase().split(", ");
    assert.ok(preflight.ok && list("Access-Control-Allow-Methods").includes(method.toLowerCase()));
    for (const name of unsafe) assert.ok(list("Access-Control-Allow-Headers").includes(name), name);
  }
  const sent = { ...headers, Origin: ORIGIN, "Sec-Fetch-Site": "same-site" };
  if (credentials === "include" && cookies.size) sent.Cookie = [...cookies].map((pair) => pair.join("=")).join("; ");
  const answer = await send(url, { method, headers: sent, body });
  check(answer, credentials);
  for (const line of credentials === "include" ? answer.headers.getSetCookie() : []) {
    const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
    cookies.set(name, value);
  }
  return answer;
};

const { Flash, Refused } = await import(pathToFileURL(`${process.argv[2]}/flash.js`));
const flash = new Flash(API_URL, TOKEN && (async () => TOKEN));
try {
  if (EMAIL) await flash.signIn(EMAIL, PASSWORD);
  const product = await flash.product("IP15");
  const holds = [await flash.reserve(product.id, "click-1"), await flash.reserve(product.id, "click-1")];
  const bought = await flash.buy(holds[0].id);
  const cancelled = await flash.cancel((await flash.reserve(product.id, "click-2")).id);
  const refused = await flash.reserve(product.id, "click-3", 11).catch((error) => error);
  assert.ok(refused instanceof Refused);
  const { available } = await flash.stock(product.id);
  console.log(JSON.stringify({ holds, bought, cancelled, code: refused.code, available }));
} catch (error) {
  console.log(JSON.stringify({ error: error.message, code: error.code }));
}
