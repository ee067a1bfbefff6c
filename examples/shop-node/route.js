// The route /api/buy of Next.js: POST {"productId", "click"} buys one unit for the customer who is signed in.
import { Refused, buy, reserve } from "./flash.mjs";
import { signedIn } from "./session.mjs";

export async function POST(request) {
  const customer = signedIn(request);
  if (!customer) return Response.json({ code: "unauthenticated" }, { status: 401 });
  const { productId, click } = await request.json();
  try {
    const hold = await reserve(customer, productId, { click, order: `order-${click}` });
    // Authorise the payment here, under the name hold.id. If it is declined: cancel(customer, hold.id).
    const bought = await buy(customer, hold.id);
    // Capture the payment here.
    return Response.json(bought);
  } catch (error) {
    // After 410 the hold was over: void the payment.
    if (error instanceof Refused) return Response.json(error.problem, { status: error.status });
    throw error;
  }
}
