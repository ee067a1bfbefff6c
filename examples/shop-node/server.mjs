// A plain Node server with the route /api/buy, which hands on all requests below /flash to FlashReserve.
import { createServer, request as forward } from "node:http";
import { Readable } from "node:stream";
import { POST } from "./route.js";

const { API_URL = "http://localhost:3000", PORT = "3001" } = process.env;

async function buy(request, response) {
  const { method, headers } = request;
  const answer = await POST(
    new Request("http://shop/api/buy", { method, headers, body: Readable.toWeb(request), duplex: "half" }),
  );
  response.writeHead(answer.status, { "Content-Type": "application/json" }).end(await answer.text());
}

/** Hands on a visitor's request with its address, which FlashReserve believes if this server is a trusted proxy. */
function handOn(request, response) {
  const earlier = request.headers["x-forwarded-for"];
  const address = request.socket.remoteAddress;
  const headers = {
    ...request.headers,
    "x-forwarded-for": earlier ? `${earlier}, ${address}` : address,
    "x-forwarded-host": request.headers["x-forwarded-host"] ?? request.headers.host,
  };
  const asked = forward(API_URL + request.url, { method: request.method, headers }, (answer) => {
    response.writeHead(answer.statusCode, answer.headers);
    answer.pipe(response);
  });
  asked.on("error", () => (response.headersSent ? response.destroy() : response.writeHead(502).end()));
  request.pipe(asked);
}

createServer((request, response) => {
  if (request.url.startsWith("/flash/")) return handOn(request, response);
  if (request.method !== "POST" || request.url !== "/api/buy") return response.writeHead(404).end();
  return buy(request, response).catch((error) => {
    console.error(error);
    response.writeHead(500).end();
  });
}).listen(Number(PORT), "127.0.0.1", () => console.log(`The shop is at http://localhost:${PORT}`));
