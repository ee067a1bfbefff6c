// Prints a token for a customer of the shop, as its sign-in service gives them out: `node token.mjs 42`.
import { readFileSync } from "node:fs";
import { sign } from "node:crypto";

const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

export function tokenOf(number, now = Math.floor(Date.now() / 1_000)) {
  const head = { alg: "ES256", kid: "2026-1", typ: "JWT" };
  const claims = { iss: "https://login.shop.example/", aud: "flashreserve", sub: number, iat: now, exp: now + 300 };
  const text = `${part(head)}.${part(claims)}`;
  const key = { key: readFileSync("private.pem"), dsaEncoding: "ieee-p1363" };
  return `${text}.${sign("sha256", Buffer.from(text), key).toString("base64url")}`;
}

console.log(tokenOf(process.argv[2]));
