// The official Anthropic SDK for Node, unmodified.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import { collect, countingFetch, isRelay, startDemo } from './demo.mjs';

const model = 'claude-opus-5-5';
const ask = { model, max_tokens: 1024, messages: [{ role: 'user', content: 'Hello, Claude' }] };
const tools = [{
  name: 'get_weather', description: 'The weather of a city',
  input_schema: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
}];

let demo;
let client;
before(async () => {
  demo = await startDemo();
  client = new Anthropic({ apiKey: demo.key, baseURL: demo.anthropic, maxRetries: 0 });
});
after(() => demo.stop());

test('quickstart', async () => {
  const message = await client.messages.create(ask);
  assert.match(message.content[0].text, /relay/);
  assert.equal(message.stop_reason, 'end_turn');
});

test('configured by the environment', async () => {
  process.env.ANTHROPIC_BASE_URL = demo.anthropic;
  process.env.ANTHROPIC_API_KEY = demo.key;
  assert.equal((await new Anthropic().messages.create(ask)).role, 'assistant');
});

test('a stream says what the whole answer says', async () => {
  const whole = await client.messages.create(ask);
  const stream = client.messages.stream(ask);
  let text = '';
  stream.on('text', (piece) => { text += piece; });
  const final = await stream.finalMessage();
  assert.equal(text, whole.content[0].text);
  assert.equal(final.usage.output_tokens, whole.usage.output_tokens);
  const kinds = (await collect(await client.messages.create({ ...ask, stream: true }))).map((each) => each.type);
  assert.equal(kinds[0], 'message_start');
  assert.deepEqual(kinds.slice(-3), ['content_block_stop', 'message_delta', 'message_stop']);
});

test('tool loop', async () => {
  const first = await client.messages.stream({ ...ask, tools }).finalMessage();
  const use = first.content.at(-1);
  assert.deepEqual(use.input, { city: 'Paris' });
  const messages = [
    ...ask.messages, { role: 'assistant', content: first.content },
    { role: 'user', content: [{ type: 'tool_result', tool_use_id: use.id, content: '21 degrees' }] },
  ];
  assert.equal((await client.messages.create({ ...ask, messages, tools })).stop_reason, 'end_turn');
});

test('thinking', async () => {
  const thinking = { type: 'adaptive' };
  const final = await client.messages.stream({ ...ask, max_tokens: 5000, thinking }).finalMessage();
  assert.deepEqual(final.content.map((block) => block.type), ['thinking', 'text']);
});

test('count and list', async () => {
  const counted = await client.messages.countTokens({ model, messages: ask.messages });
  assert.equal(counted.input_tokens, (await client.messages.create(ask)).usage.input_tokens);
  const names = (await collect(client.models.list({ limit: 1000 }))).map((each) => each.id);
  assert.ok(names.includes(model));
});

for (const [status, expected] of [
  [400, Anthropic.BadRequestError], [401, Anthropic.AuthenticationError], [402, Anthropic.APIError],
  [403, Anthropic.PermissionDeniedError], [404, Anthropic.NotFoundError], [409, Anthropic.ConflictError],
  [422, Anthropic.UnprocessableEntityError], [429, Anthropic.RateLimitError],
  [500, Anthropic.InternalServerError], [529, Anthropic.InternalServerError],
]) {
  test(`error class of ${status}`, async () => {
    const asked = client.messages.create({ ...ask, model: `demo-${status}`, stream: true });
    await assert.rejects(asked, (error) => error instanceof expected && error.status === status);
  });
}

for (const [name, maxRetries, count] of [['demo-400', 2, 1], ['demo-401', 2, 1], ['demo-500', 1, 2]]) {
  test(`${name} is tried ${count} times`, async () => {
    const counting = countingFetch();
    const careful = new Anthropic({ apiKey: demo.key, baseURL: demo.anthropic, maxRetries, fetch: counting });
    await assert.rejects(careful.messages.create({ ...ask, model: name }), Anthropic.APIError);
    assert.equal(counting.count, count);
  });
}

test('unknown key', async () => {
  const stranger = new Anthropic({ apiKey: 'sk-wrong', baseURL: demo.anthropic });
  await assert.rejects(stranger.messages.create(ask), Anthropic.AuthenticationError);
});

test('unknown model', { skip: !isRelay }, async () => {
  await assert.rejects(client.messages.create({ ...ask, model: 'no-such-model' }), Anthropic.NotFoundError);
});

for (const name of ['demo-cut', 'demo-error', 'demo-noend']) {
  test(`${name} in a stream rejects`, async () => {
    await assert.rejects(client.messages.stream({ ...ask, model: name }).finalMessage());
  });
}
