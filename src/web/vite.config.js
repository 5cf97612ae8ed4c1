import { readFileSync } from "node:fs";
import { defineConfig } from "vite";

/* What the licences of the packages in app.js ask for. */
function licences() {
	const text = ["preact", "uplot"].map((name) => `${name}\n\n` + readFileSync(`node_modules/${name}/LICENSE`, "utf8").trim());
	return {
		name: "licences",
		generateBundle() {
			this.emitFile({ type: "asset", fileName: "licences.txt", source: text.join("\n\n----\n\n") + "\n" });
		},
	};
}

/* One script, one style sheet, under fixed names: the server embeds exactly these files and tells browsers by ETag when they changed. */
export default defineConfig({
	base: "/",
	plugins: [licences()],
	esbuild: { jsx: "automatic", jsxImportSource: "preact", legalComments: "none" },
	build: {
		target: "es2020",
		assetsInlineLimit: 0,
		modulePreload: false,
		cssCodeSplit: false,
		reportCompressedSize: false,
		rollupOptions: {
			output: {
				inlineDynamicImports: true,
				entryFileNames: "app.js",
				assetFileNames: "app[extname]",
			},
		},
	},
});
