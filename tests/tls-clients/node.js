// A TLS client of Node.js: node.js PORT TLSv1.2|TLSv1.3. Standard input goes to the server, what it says to
// standard output. End of input: close_notify.
"use strict";
const tls = require("tls");
const [port, version] = process.argv.slice(2);
const socket = tls.connect({host: "127.0.0.1", port: Number(port), rejectUnauthorized: false, minVersion: version, maxVersion: version});
let ended = false;

process.stdin.on("data", (bytes) => socket.write(bytes));
process.stdin.on("end", () => {
	ended = true;
	socket.end();
});
socket.on("data", (bytes) => process.stdout.write(bytes));
socket.on("error", (error) => {
	console.error(String(error));
	process.exit(1);
});
socket.on("end", () => {
	console.log(ended ? "closed" : "the server has closed");
	process.exit(ended ? 0 : 1);
});
