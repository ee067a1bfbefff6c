// The backend of a small shop: it signs customers in, sells by API key on their behalf, takes units back, and exports.
import { createHmac, randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { setTimeout } from "node:timers/promises";

const { API_URL = "http://localhost:3000", API_KEY, STAFF_KEY, PORT = "3001" } = process.env;
if (!API_KEY || !STAFF_KEY) throw new Error("set API_KEY and STAFF_KEY");
const secret = randomBytes(32);
const sign = (text) => createHmac("sha256", secret).update(text).digest("base64url");
const refusal = (status, detail) => Response.json({ detail }, { status });

/** Sends a request to FlashReserve, and repeats it after 503. With a key, repeating takes nothing twice. */
async function flash(method, path, { customer, body, key } = {}) {
  const headers = { Authorization: `Bearer ${API_KEY}` };
  if (customer) headers["On-Behalf-Of"] = `shop:${customer}`;
  if (key) headers["Idempotency-Key"] = key;
  if (body) headers["Content-Type"] = "application/json";
  for (let tries = 1; ; tries += 1) {
    const signal = AbortSignal.timeout(10_000);
    const answer = await fetch(API_URL + path, { method, headers, body: body && JSON.stringify(body), signal });
    if (answer.status !== 503 || tries === 3) return answer;
    await setTimeout(1_000 * Number(answer.headers.get("Retry-After") ?? 1));
  }
}

const product = async () => (await (await flash("GET", "/products?externalId=IP15")).json()).items[0];

const routes = {
  "GET /": async () => new Response(await readFile("page.html"), { headers: { "Content-Type": "text/html" } }),
  "GET /product": async () => Response.json(await product()),
  "POST /sign-in": ({ body: { name } }) => {
    if (!/^[a-z]{1,20}$/.test(name)) return refusal(400, "name: expected 1 to 20 small letters");
    // A real shop checks a password here.
    const cookie = `customer=${name}.${sign(name)}; HttpOnly; SameSite=Strict`;
    return Response.json({ detail: `Welcome, ${name}.` }, { headers: { "Set-Cookie": cookie } });
  },
  "POST /buy": async ({ customer, body: { click, quantity = 1 } }) => {
    const body = { quantity, externalId: `order-${click}` };
    const hold = await flash("POST", `/products/${(await product()).id}/reservations`, { customer, body, key: click });
    // Authorise the payment here. If it is declined, send DELETE /reservations/{id}.
    return hold.ok ? flash("POST", `/checkout/${(await hold.json()).id}`, { customer }) : hold;
  },
  "GET /orders": ({ customer }) => flash("GET", "/reservations?status=CONFIRMED", { customer }),
  "POST /return": async ({ customer, body: { order, click, quantity = 1 } }) => {
    const path = `/reservations/${encodeURIComponent(order)}`;
    const owned = await flash("GET", path, { customer }); // 404 if it is another customer's
    if (!owned.ok) return owned;
    const [{ productId }] = (await owned.json()).lines;
    return flash("POST", `${path}/returns`, { body: { lines: [{ productId, quantity }] }, key: click });
  },
  "GET /sold.csv": ({ staff }) =>
    staff ? flash("GET", "/reservations.csv?status=CONFIRMED") : refusal(403, "for staff only"),
};

async function answerTo({ method, url, headers }, text) {
  const route = routes[`${method} ${url}`];
  if (!route) return refusal(404, "not found");
  const [, name, signature] = /customer=([a-z]+)\.([\w-]+)/.exec(headers.cookie) ?? [];
  const customer = name && signature === sign(name) ? name : undefined;
  if (!customer && /buy|orders|return/.test(url)) return refusal(401, "sign in first");
  const staff = sign(headers.authorization ?? "") === sign(`Bearer ${STAFF_KEY}`);
  return route({ customer, staff, body: text ? JSON.parse(text) : {} });
}

createServer(async (request, response) => {
  try {
    let text = "";
    for await (const part of request.setEncoding("utf8")) {
      if ((text += part).length > 10_000) throw new Error("the body is too large");
    }
    const answer = await answerTo(request, text);
    const sent = [...answer.headers].filter(([name]) => /^(content-type|set-cookie)$/.test(name));
    response.writeHead(answer.status, Object.fromEntries(sent)).end(await answer.text());
  } catch (error) {
    console.error(error);
    response.writeHead(500).end('{"detail": "the shop failed; try again"}');
  }
}).listen(Number(PORT), "127.0.0.1", () => console.log(`The shop is at http://localhost:${PORT}`));
