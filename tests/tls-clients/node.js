// A TLS client of Node.js (orders.h); it has no way to ask for new keys.
"use strict";
const tls = require("tls");
const [port, version, ciphers] = process.argv.slice(2);
const protocol = "TLSv" + version;
const socket = tls.connect({host: "127.0.0.1", port: Number(port), rejectUnauthorized: false, minVersion: protocol,
	maxVersion: protocol, ciphers});
let ended = false, input = Buffer.alloc(0);

process.stdin.on("data", (bytes) => {
	input = Buffer.concat([input, bytes]);
	while (input.length >= 4 && input.length >= 4 + input.readUInt32BE(0)) {
		const end = 4 + input.readUInt32BE(0);
		socket.write(input.subarray(4, end));
		input = input.subarray(end);
	}
});
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
