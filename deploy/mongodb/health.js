// Healthy once this server is the primary of its replica set and has the shop's user. The first run makes both.
db.getSiblingDB("admin").auth(process.env.MONGO_INITDB_ROOT_USERNAME, process.env.MONGO_INITDB_ROOT_PASSWORD);
try {
  rs.status();
} catch (error) {
  if (error.codeName !== "NotYetInitialized") throw error;
  rs.initiate({ _id: "flashreserve", members: [{ _id: 0, host: "mongodb:27017" }] });
}
if (!db.hello().isWritablePrimary) quit(1);

const shop = db.getSiblingDB("flashreserve");
if (shop.getUser("flashreserve") === null) {
  shop.createUser({ user: "flashreserve", pwd: process.env.SHOP_PASSWORD, roles: ["readWrite"] });
}
quit(0);
