// A flash sale on Express, Mongoose and BullMQ, as tutorials write it: take one unit by a conditional decrement, insert
// the reservation, add one delayed job that gives the unit back. Correct as long as no process dies between the steps.
//
//   node shop.mjs setup | serve PORT | worker | audit
//
// MONGODB_URL, REDIS_URL, JWT_SECRET, HOLD_SECONDS and STOCK are the settings. `setup` prints the product's id.

import { Queue, Worker } from "bullmq";
import express from "express";
import { Redis } from "ioredis";
import jwt from "jsonwebtoken";
import mongoose from "mongoose";

const { MONGODB_URL, REDIS_URL, JWT_SECRET, HOLD_SECONDS = "600", STOCK = "1000000000" } = process.env;
const QUEUE = "reservations";
const HOLD_MS = Number(HOLD_SECONDS) * 1000;

const Product = mongoose.model(
  "Product",
  new mongoose.Schema(
    {
      name: { type: String, required: true },
      price: { type: Number, required: true },
      initial: { type: Number, required: true },
      stock: { type: Number, required: true, min: 0 },
    },
    { timestamps: true },
  ),
);

const Reservation = mongoose.model(
  "Reservation",
  new mongoose.Schema(
    {
      user: { type: String, required: true, index: true },
      product: { type: mongoose.Schema.Types.ObjectId, ref: "Product", required: true, index: true },
      quantity: { type: Number, required: true, min: 1 },
      status: { type: String, enum: ["PENDING", "CONFIRMED", "EXPIRED", "CANCELLED"], default: "PENDING" },
      expiresAt: { type: Date, required: true },
    },
    { timestamps: true },
  ),
);

function authenticate(req, res, next) {
  const [scheme, token] = (req.headers.authorization ?? "").split(" ");
  if (scheme !== "Bearer" || !token) return res.status(401).json({ error: "Not signed in" });
  try {
    req.user = jwt.verify(token, JWT_SECRET, { algorithms: ["HS256"] });
  } catch {
    return res.status(401).json({ error: "Invalid token" });
  }
  next();
}

async function reserve(req, res, queue) {
  const { productId } = req.params;
  const quantity = req.body?.quantity ?? 1;
  if (!mongoose.isValidObjectId(productId)) return res.status(404).json({ error: "No such product" });
  if (!Number.isInteger(quantity) || quantity < 1) return res.status(400).json({ error: "Invalid quantity" });

  const product = await Product.findOneAndUpdate(
    { _id: productId, stock: { $gte: quantity } },
    { $inc: { stock: -quantity } },
    { returnDocument: "after" },
  );
  if (!product) return res.status(409).json({ error: "Sold out" });

  const reservation = await Reservation.create({
    user: req.user.sub,
    product: product._id,
    quantity,
    expiresAt: new Date(Date.now() + HOLD_MS),
  });
  await queue.add(
    "expire",
    { reservationId: reservation.id },
    { delay: HOLD_MS, removeOnComplete: true, removeOnFail: true },
  );
  res.status(201).json({ id: reservation.id, status: reservation.status, expiresAt: reservation.expiresAt });
}

async function expire(job) {
  const reservation = await Reservation.findOneAndUpdate(
    { _id: job.data.reservationId, status: "PENDING" },
    { status: "EXPIRED" },
  );
  if (reservation) await Product.updateOne({ _id: reservation.product }, { $inc: { stock: reservation.quantity } });
}

async function setup() {
  await Promise.all([Product.init(), Reservation.init()]);
  const stock = Number(STOCK);
  const product = await Product.create({ name: "Hot", price: 9.99, initial: stock, stock });
  console.log(product.id);
}

function serve(port) {
  const queue = new Queue(QUEUE, { connection: new Redis(REDIS_URL, { maxRetriesPerRequest: null }) });
  const app = express();
  app.use(express.json());
  app.get("/health", (req, res) => res.json({ status: "ok" }));
  app.post("/reservations/:productId", authenticate, (req, res) => reserve(req, res, queue));
  app.listen(port, "127.0.0.1");
}

function work() {
  const connection = new Redis(REDIS_URL, { maxRetriesPerRequest: null });
  new Worker(QUEUE, expire, { connection, concurrency: 50 });
}

// Every unit is in stock or in a reservation that still counts.
async function audit() {
  const [product] = await Product.find();
  const [live] = await Reservation.aggregate([
    { $match: { product: product._id, status: { $in: ["PENDING", "CONFIRMED"] } } },
    { $group: { _id: null, units: { $sum: "$quantity" } } },
  ]);
  const units = live?.units ?? 0;
  const reservations = await Reservation.countDocuments();
  const { initial, stock } = product;
  console.log(JSON.stringify({ clean: stock + units === initial, reservations, initial, stock, units }));
}

await mongoose.connect(MONGODB_URL);
const [command, port] = process.argv.slice(2);
if (command === "serve") serve(Number(port));
else if (command === "worker") work();
else {
  await (command === "setup" ? setup() : audit());
  await mongoose.disconnect();
}
