/* Every test of the pages, or those that are named on the command line. */
import "./door.test.mjs";
import { main } from "./house.mjs";

await main(process.argv.slice(2));
