/* Every test of the pages, or those that are named on the command line. */
import "./door.test.mjs";
import "./devices.test.mjs";
import "./own.test.mjs";
import "./everyone.test.mjs";
import "./stranger.test.mjs";
import "./gone.test.mjs";
import { main } from "./house.mjs";

await main(process.argv.slice(2));
