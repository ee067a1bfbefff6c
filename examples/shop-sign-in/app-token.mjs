// The same, signed with the shared secret that is in the environment. Run it by `node app-token.mjs 42`.
import { createHmac } from "node:crypto";

const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

export function tokenOf(number, now = Math.floor(Date.now() / 1_000)) {
  const claims = { iss: "shop-app", aud: "flashreserve", sub: number, iat: now, exp: now + 300 };
  const text = `${part({ alg: "HS256", typ: "JWT" })}.${part(claims)}`;
  return `${text}.${createHmac("sha256", process.env.SECRET).update(text).digest("base64url")}`;
}

console.log(tokenOf(process.argv[2]));
