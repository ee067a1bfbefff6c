// A purchase by the generated types: node purchase.js URL PRODUCT SOLD-OUT-PRODUCT prints its answers as JSON.
// There is no cast here. A line after `@ts-expect-error` has to be refused by the compiler.
import createClient from "openapi-fetch";
import type { components, paths } from "./flashreserve.js";

declare const process: { argv: string[] };

type Problem = components["schemas"]["Problem"];
type Refusals = paths["/products/{id}/reservations"]["post"]["responses"];
type SoldOut = Refusals[409]["content"]["application/problem+json"];
type BadRequest = Refusals[400]["content"]["application/problem+json"];

const [url = "", productId = "", soldOutId = ""] = process.argv.slice(2);
const account = { email: "ann@example.com", password: "a horse with a typed saddle" };
const shop = createClient<paths>({ baseUrl: url });

function granted<T>(answer: { data?: T; error?: Problem }): T {
  if (answer.data === undefined) {
    throw new Error(JSON.stringify(answer.error));
  }
  return answer.data;
}

async function signUp(): Promise<string> {
  const made = granted(await shop.POST("/auth/register", { body: account }));
  const role: "customer" | "admin" = made.role;
  if (role !== "customer") {
    throw new Error(role);
  }
  return granted(await shop.POST("/auth/login", { body: account })).token;
}

async function soldOut(id: string, quantity: number): Promise<object> {
  const path = { params: { path: { id } } };
  const { data, error, response } = await shop.POST("/products/{id}/reservations", { ...path, body: { quantity } });
  if (error === undefined || response.status !== 409) {
    throw new Error(`${response.status} ${data?.id}`);
  }
  const problem: SoldOut = error;
  // @ts-expect-error: no problem has this code
  void (problem.code === "sold-off");
  // @ts-expect-error: `available` may be missing
  const present: number = problem.available;
  void present;
  switch (problem.code) {
    case "sold-out": {
      const available: number | undefined = problem.available;
      return { status: response.status, code: problem.code, available, product: problem.productId };
    }
    default:
      throw new Error(problem.code);
  }
}

async function invalid(id: string): Promise<object> {
  const path = { params: { path: { id } } };
  const { error, response } = await shop.POST("/products/{id}/reservations", { ...path, body: { quantity: 0 } });
  if (error === undefined || response.status !== 400) {
    throw new Error(`${response.status}`);
  }
  const problem: BadRequest = error;
  const errors = problem.errors ?? [];
  return {
    status: response.status,
    code: problem.code,
    errors: errors.map((each) => [each.field, each.message.startsWith("expected")]),
  };
}

async function purchase(): Promise<object> {
  const refused = await shop.GET("/auth/me");
  const token = await signUp();
  shop.use({
    onRequest({ request }) {
      request.headers.set("Authorization", `Bearer ${token}`);
    },
  });
  const page = granted(await shop.GET("/products", { params: { query: { limit: 50 } } }));
  const held = await shop.POST("/products/{id}/reservations", {
    params: { path: { id: productId }, header: { "Idempotency-Key": "click-1" } },
    body: { quantity: 2, externalId: "order-1", metadata: { channel: "app" } },
  });
  const hold = granted(held);
  const single = await shop.POST("/products/{id}/reservations", { params: { path: { id: productId } } });
  // @ts-expect-error: a reservation has another status
  void (hold.status === "SOLD");
  const few = await soldOut(productId, 3);
  const none = await soldOut(soldOutId, 1);
  const bought = await shop.POST("/checkout/{id}", { params: { path: { id: hold.id } } });
  return {
    unauthenticated: { status: refused.response.status, code: refused.error?.code },
    products: page.items.map((each) => ({ id: each.id, price: each.price, available: each.available })),
    hold: {
      status: held.response.status,
      state: hold.status,
      lines: hold.lines.map((line) => [line.productId, line.quantity, line.unitPrice]),
      externalId: hold.externalId,
      channel: hold.metadata["channel"],
    },
    single: { status: single.response.status, quantity: granted(single).lines[0]?.quantity },
    few,
    none,
    invalid: await invalid(productId),
    bought: { status: bought.response.status, state: granted(bought).status, same: granted(bought).id === hold.id },
  };
}

console.log(JSON.stringify(await purchase()));
