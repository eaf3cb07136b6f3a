// Builds the pages into a folder of assets: node build.mjs [OUT] (default ../assets). The names of the assets carry
// a hash of their content, and assets/meson.build lists them for the C build. The same sources give the same files.
import { build } from 'esbuild';
import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const out = resolve(process.argv[2] ?? join(here, '../assets'));
process.chdir(here);

const result = await build({
  entryPoints: { app: 'src/main.tsx', style: 'src/style.css' },
  bundle: true, minify: true, splitting: true, format: 'esm', target: 'es2022', charset: 'utf8', legalComments: 'none',
  jsx: 'automatic', jsxImportSource: 'preact', metafile: true, write: false, outdir: '/out',
  entryNames: '[name]-[hash]', chunkNames: '[name]-[hash]', logLevel: 'warning',
});

mkdirSync(out, { recursive: true });
for (const name of readdirSync(out)) rmSync(join(out, name));
const names = result.outputFiles.map((f) => f.path.split('/').pop());
const find = (start, end) => names.find((n) => n.startsWith(start) && n.endsWith(end));
for (const f of result.outputFiles) {
  const packed = gzipSync(f.contents, { level: 9 });
  packed[9] = 255; // the operating system's number is not part of the content
  writeFileSync(join(out, `${f.path.split('/').pop()}.gz`), packed);
}
const shell = readFileSync('index.html', 'utf8')
  .replace('app.css', find('style-', '.css')).replace('app.js', find('app-', '.js'));
writeFileSync(join(out, 'index.html'), shell);
const listed = ['index.html', ...names.map((n) => `${n}.gz`).sort()];
writeFileSync(join(out, 'meson.build'),
  `# Written by tools/build-ui.\nweb_assets = files(\n${listed.map((n) => `    '${n}',\n`).join('')})\n`);
const digest = createHash('sha256');
for (const n of listed) digest.update(n);
console.log(`${listed.length} assets, list ${digest.digest('hex').slice(0, 12)}`);
