// SPDX-License-Identifier: MIT
// A queue of BullMQ in Redis: node jobs.mjs MODULES SOCKET ITEMS BYTES, where MODULES is the folder in which npm has
// installed it.  Adds ITEMS jobs with bodies of BYTES, 256 in a call, then processes them in one worker that does nothing
// for each; jobs that are done are removed.  Prints the seconds of both.
import { createRequire } from "node:module";

const [modules, path, items, bytes] = process.argv.slice(2);
const { Queue, Worker } = createRequire(`${modules}/`)("bullmq");
const batch = 256, concurrency = 200;
const connection = { path, maxRetriesPerRequest: null };
const data = { body: "x".repeat(Number(bytes) - '{"body":""}'.length) };

const seconds = (since) => Number(process.hrtime.bigint() - since) / 1e9;
const queue = new Queue("jobs", { connection, defaultJobOptions: { removeOnComplete: true } });
await queue.waitUntilReady();

let since = process.hrtime.bigint();
for (let made = 0; made < items; made += batch)
  await queue.addBulk(Array.from({ length: Math.min(batch, items - made) }, () => ({ name: "job", data })));
console.log(`enqueue_s ${seconds(since).toFixed(6)} s`);

since = process.hrtime.bigint();
let done = 0;
await new Promise((resolve) => {
  const worker = new Worker("jobs", async () => {}, { connection, concurrency });
  worker.on("completed", () => {
    if (++done == items) resolve(worker);
  });
}).then((worker) => {
  console.log(`work_s ${seconds(since).toFixed(6)} s`);
  return worker.close();
});
await queue.close();
