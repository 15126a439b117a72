// SPDX-License-Identifier: Apache-2.0
// Generates docs/write-path.md from the `@writePath n sentence` tags in the sources; `--check` fails when the page is not current.
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const page = join(root, 'docs', 'write-path.md');
const hopTitles = ['Tap', 'Change buffer', 'Change set', 'Spool', 'Forward', 'Cache', 'Undo and apply', 'Recovery point objective'];

const intro = `# The path of one write

Generated from the \`@writePath\` tags in the sources by \`node tools/write-path.mjs\`; do not edit. Its executable twin is
[one-block.int.spec.ts](../test/write-path/one-block.int.spec.ts), which sends one block through and prints each hop.
`;

/** The name declared after the comment that holds the tag: function, class, method or constant. */
function symbolAfter(text, index) {
  const after = text.slice(text.indexOf('*/', index) + 2);
  const match = /^\s*(?:@\w+\([^)]*\)\s*)*(?:export\s+)?(?:abstract\s+)?(?:public\s+|private\s+|static\s+|readonly\s+|async\s+)*(?:function\*?\s+|class\s+|const\s+|interface\s+)?#?(\w+)/.exec(after);
  return match?.[1] ?? '?';
}

function collectHops() {
  const hops = [];
  for (const file of globSync('{apps,libs}/*/src/**/*.ts', { cwd: root, exclude: (name) => name === 'dist' }).sort()) {
    const text = readFileSync(join(root, file), 'utf8');
    for (const match of text.matchAll(/@writePath (\d+) ((?:.|\n\s*\*(?!\/)(?!\s*@) ?)*)/g)) {
      const sentence = match[2].replace(/\s*\n\s*\* ?/g, ' ').replace(/\s*\*\/.*/s, '').trim();
      hops.push({ number: Number(match[1]), file, symbol: symbolAfter(text, match.index), sentence });
    }
  }
  return hops.sort((a, b) => a.number - b.number || a.file.localeCompare(b.file));
}

function render(hops) {
  const sections = hopTitles.map((title, index) => {
    const rows = hops.filter((hop) => hop.number === index + 1);
    const lines = rows.map((hop) => `- [\`${hop.symbol}\`](../${hop.file}): ${hop.sentence}`);
    return `## ${index + 1}. ${title}\n\n${lines.join('\n')}\n`;
  });
  return `${intro}\n${sections.join('\n')}`;
}

const hops = collectHops();
const missing = hopTitles.filter((_, index) => !hops.some((hop) => hop.number === index + 1));
if (missing.length > 0) {
  process.stderr.write(`write path: no source carries the hop ${missing.join(', ')}\n`);
  process.exit(1);
}
const current = render(hops);
if (!process.argv.includes('--check')) writeFileSync(page, current);
else if (readFileSync(page, 'utf8') !== current) {
  process.stderr.write('docs/write-path.md is not current: run node tools/write-path.mjs\n');
  process.exit(1);
}
