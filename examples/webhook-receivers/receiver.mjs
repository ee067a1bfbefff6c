// A receiver of webhooks: it verifies, stores each event once, and answers at once. Run `node receiver.mjs`.
import { createHmac, timingSafeEqual } from "node:crypto";
import { existsSync, fsyncSync, ftruncateSync, openSync, readFileSync, writeSync } from "node:fs";
import { createServer } from "node:http";

const { WEBHOOK_SECRET, PORT = "3002", EVENTS = "events.txt" } = process.env;
if (!WEBHOOK_SECRET) throw new Error("set WEBHOOK_SECRET");
const BODY_MAX = 100_000;
const key = Buffer.from(WEBHOOK_SECRET.replace(/^whsec_/, ""), "base64");
// Each line is the id of a stored event: its subject, "-", and its sequence. A crash may have cut the last line off.
const text = existsSync(EVENTS) ? readFileSync(EVENTS, "ascii") : "";
const lines = text.slice(0, text.lastIndexOf("\n") + 1);
const stored = new Set(lines.split("\n"));
const file = openSync(EVENTS, "a");
ftruncateSync(file, lines.length);

/** Whether the delivery is signed with our secret, within the last five minutes. */
function isSigned({ "webhook-id": id, "webhook-timestamp": second, "webhook-signature": signatures = "" }, body) {
  if (!(Math.abs(Date.now() / 1000 - Number(second)) < 300)) return false;
  const expected = createHmac("sha256", key).update(`${id}.${second}.`).update(body).digest();
  return signatures.split(" ").some((each) => {
    const [version, given] = [each.slice(0, 3), Buffer.from(each.slice(3), "base64")];
    return version === "v1," && given.length === expected.length && timingSafeEqual(given, expected);
  });
}

/** The status of the answer. After 204 the event is stored, exactly once. */
function receive(headers, body) {
  if (!isSigned(headers, body)) return 401;
  const { type, subject, previous } = JSON.parse(body);
  const id = headers["webhook-id"];
  const isNew = !stored.has(id);
  if (isNew) {
    writeSync(file, `${id}\n`); // In your shop: into its database, together with what it makes of the event.
    fsyncSync(file);
    stored.add(id);
  }
  if (previous !== null && !stored.has(`${subject.id}-${previous}`))
    console.log(`missing: number ${previous} of ${subject.id}; get it from /events?subject=${subject.id}`);
  console.log(isNew ? "new:" : "again:", type, id);
  return 204;
}

createServer(async (request, response) => {
  const parts = [];
  let size = 0;
  try {
    for await (const part of request) if ((size += part.length) <= BODY_MAX) parts.push(part);
    response.writeHead(size > BODY_MAX ? 413 : receive(request.headers, Buffer.concat(parts))).end();
  } catch (error) {
    response.destroy(); // The sender is gone, or the event couldn't be stored. It comes again.
    console.error(error);
  }
}).listen(Number(PORT), "127.0.0.1", () => console.log(`The receiver is at http://localhost:${PORT}/hook`));
