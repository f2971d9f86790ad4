// The coding agents, unmodified: one headless prompt each, in a home of their own.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { startDemo } from './demo.mjs';

const bin = fileURLToPath(new URL('node_modules/.bin/', import.meta.url));
const timeout = 60_000;
// nothing may leave the machine: whoever asks for another host meets a closed door
const nowhere = 'http://127.0.0.1:9';
const closed = {
  HTTP_PROXY: nowhere, HTTPS_PROXY: nowhere, http_proxy: nowhere, https_proxy: nowhere,
  NO_PROXY: '127.0.0.1,localhost', no_proxy: '127.0.0.1,localhost',
};

let demo;
before(async () => { demo = await startDemo(); });
after(() => demo.stop());

async function run(name, args, env) {
  const home = join(demo.folder, name);
  const work = join(home, 'work');
  await mkdir(work, { recursive: true });
  return new Promise((resolve) => {
    const child = execFile(join(bin, name), args, {
      cwd: work, timeout, killSignal: 'SIGKILL',
      env: { PATH: process.env.PATH, HOME: home, TERM: 'dumb', ...closed, ...env },
    }, (error, stdout, stderr) => resolve({ code: error ? error.code ?? 'killed' : 0, stdout, stderr }));
    child.stdin.end();
  });
}

function assertAnswered({ code, stdout, stderr }) {
  assert.equal(code, 0, stderr.slice(-2000));
  assert.match(stdout, /demo provider/, stderr.slice(-2000));
}

test('claude-code', { timeout }, async () => {
  assertAnswered(await run('claude', ['-p', 'Hello', '--model', 'claude-opus-5-5'], {
    ANTHROPIC_BASE_URL: demo.anthropic, ANTHROPIC_API_KEY: demo.key,
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1', DISABLE_TELEMETRY: '1', DISABLE_AUTOUPDATER: '1',
  }));
});

test('codex', { timeout }, async () => {
  const args = ['exec', '--skip-git-repo-check', '-c', `openai_base_url="${demo.openai}"`,
    '-c', 'analytics.enabled=false', '-m', 'gpt-5.5', 'Hello'];
  assertAnswered(await run('codex', args, { CODEX_API_KEY: demo.key }));
});

test('gemini-cli', { timeout }, async () => {
  const settings = join(demo.folder, 'gemini', '.gemini');
  await mkdir(settings, { recursive: true });
  await writeFile(join(settings, 'settings.json'), JSON.stringify({
    privacy: { usageStatisticsEnabled: false }, telemetry: { enabled: false },
    general: { enableAutoUpdate: false }, security: { auth: { selectedType: 'gemini-api-key' } },
  }));
  assertAnswered(await run('gemini', ['--skip-trust', '-m', 'gemini-3.8-flash', '-p', 'Hello'], {
    GOOGLE_GEMINI_BASE_URL: demo.gemini, GEMINI_API_KEY: demo.key,
  }));
});
