// Makes the key pair of a sign-in service: private.pem, which signs tokens, and jwks.json, which FlashReserve reads.
import { generateKeyPairSync } from "node:crypto";
import { writeFileSync } from "node:fs";

const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const jwk = { ...publicKey.export({ format: "jwk" }), kid: "2026-1", alg: "ES256", use: "sig" };
writeFileSync("private.pem", privateKey.export({ type: "pkcs8", format: "pem" }), { mode: 0o600 });
writeFileSync("jwks.json", JSON.stringify({ keys: [jwk] }));
