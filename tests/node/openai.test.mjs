// The official OpenAI SDK for Node, unmodified.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import OpenAI from 'openai';
import { collect, countingFetch, isRelay, startDemo } from './demo.mjs';

const model = 'gpt-5.5';
const messages = [{ role: 'user', content: 'Say this is a test' }];
const parameters = {
  type: 'object', properties: { city: { type: 'string' } }, required: ['city'], additionalProperties: false,
};
const tools = [{ type: 'function', function: { name: 'get_weather', strict: true, parameters } }];

let demo;
let client;
before(async () => {
  demo = await startDemo();
  client = new OpenAI({ apiKey: demo.key, baseURL: demo.openai, maxRetries: 0 });
});
after(() => demo.stop());

test('quickstart', async () => {
  const reply = await client.chat.completions.create({ model, messages });
  assert.match(reply.choices[0].message.content, /relay/);
  assert.equal(reply.usage.total_tokens, reply.usage.prompt_tokens + reply.usage.completion_tokens);
});

test('configured by the environment', async () => {
  process.env.OPENAI_BASE_URL = demo.openai;
  process.env.OPENAI_API_KEY = demo.key;
  const reply = await new OpenAI().responses.create({ model, input: 'Hello' });
  assert.match(reply.output_text, /relay/);
});

test('a stream says what the whole answer says', async () => {
  const whole = await client.chat.completions.create({ model, messages });
  const chunks = await collect(await client.chat.completions.create({
    model, messages, stream: true, stream_options: { include_usage: true } }));
  const text = chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join('');
  assert.equal(text, whole.choices[0].message.content);
  assert.deepEqual(chunks.at(-1).usage, whole.usage);
  const plain = await collect(await client.chat.completions.create({ model, messages, stream: true }));
  assert.ok(plain.every((chunk) => !chunk.usage && chunk.choices.length));
});

test('tool loop, by the SDK', async () => {
  const asked = [];
  const run = client.chat.completions.runTools({
    model,
    messages: [{ role: 'user', content: 'What is the weather in Paris?' }],
    tools: [{ type: 'function', function: {
      name: 'get_weather', parameters, parse: JSON.parse, description: 'The weather',
      function: ({ city }) => { asked.push(city); return '21 degrees'; } } }],
  });
  assert.match(await run.finalContent(), /tool/);
  assert.deepEqual(asked, ['Paris']);
});

test('tool call, streamed', async () => {
  const stream = client.chat.completions.stream({ model, messages, tools });
  const reply = await stream.finalChatCompletion();
  const [call] = reply.choices[0].message.tool_calls;
  assert.deepEqual(JSON.parse(call.function.arguments), { city: 'Paris' });
});

test('structured output', async () => {
  const reply = await client.chat.completions.parse({
    model, messages,
    response_format: { type: 'json_schema', json_schema: { name: 'place', strict: true, schema: parameters } } });
  assert.deepEqual(JSON.parse(reply.choices[0].message.content), { city: 'Paris' });
});

test('responses, streamed', async () => {
  const events = await collect(await client.responses.create({ model, input: 'Hello', stream: true }));
  assert.deepEqual(events.map((event) => event.sequence_number), events.map((_, index) => index));
  assert.equal(events.at(-1).type, 'response.completed');
});

test('embeddings, pictures and sound', async () => {
  const vectors = await client.embeddings.create({ model: 'text-embedding-3-small', input: ['a', 'b'] });
  assert.deepEqual(vectors.data.map((each) => each.embedding.length), [1536, 1536]);
  const pictures = await client.images.generate({ model: 'gpt-image-2', prompt: 'A relay race' });
  assert.equal(Buffer.from(pictures.data[0].b64_json, 'base64').subarray(1, 4).toString(), 'PNG');
  const speech = await client.audio.speech.create({
    model: 'tts-1', voice: 'alloy', input: 'Hello', response_format: 'wav' });
  const sound = Buffer.from(await speech.arrayBuffer());
  assert.equal(sound.subarray(0, 4).toString(), 'RIFF');
  const heard = await client.audio.transcriptions.create({
    model: 'whisper-1', file: await OpenAI.toFile(sound, 'speech.wav') });
  assert.match(heard.text, /relay/);
});

test('models', async () => {
  const names = (await collect(client.models.list())).map((each) => each.id);
  assert.ok(names.includes('gpt-4o-mini'));
});

for (const [status, expected] of [
  [400, OpenAI.BadRequestError], [401, OpenAI.AuthenticationError], [402, OpenAI.APIError],
  [403, OpenAI.PermissionDeniedError], [404, OpenAI.NotFoundError], [409, OpenAI.ConflictError],
  [422, OpenAI.UnprocessableEntityError], [429, OpenAI.RateLimitError],
  [500, OpenAI.InternalServerError], [529, OpenAI.InternalServerError],
]) {
  test(`error class of ${status}`, async () => {
    const asked = client.chat.completions.create({ model: `demo-${status}`, messages, stream: true });
    await assert.rejects(asked, (error) => error instanceof expected && error.status === status);
  });
}

for (const [name, maxRetries, count] of [['demo-400', 2, 1], ['demo-401', 2, 1], ['demo-500', 1, 2]]) {
  test(`${name} is tried ${count} times`, async () => {
    const counting = countingFetch();
    const careful = new OpenAI({ apiKey: demo.key, baseURL: demo.openai, maxRetries, fetch: counting });
    await assert.rejects(careful.chat.completions.create({ model: name, messages }), OpenAI.APIError);
    assert.equal(counting.count, count);
  });
}

test('unknown key', async () => {
  const counting = countingFetch();
  const stranger = new OpenAI({ apiKey: 'sk-wrong', baseURL: demo.openai, fetch: counting });
  await assert.rejects(stranger.chat.completions.create({ model, messages }), OpenAI.AuthenticationError);
  assert.equal(counting.count, 1);
});

test('unknown model', { skip: !isRelay }, async () => {
  const asked = client.chat.completions.create({ model: 'no-such-model', messages });
  await assert.rejects(asked, OpenAI.NotFoundError);
});

test('a cut stream rejects', async () => {
  await assert.rejects(async () => collect(
    await client.chat.completions.create({ model: 'demo-cut', messages, stream: true })));
});

test('an error event rejects', async () => {
  await assert.rejects(async () => collect(
    await client.chat.completions.create({ model: 'demo-error', messages, stream: true })), OpenAI.APIError);
});
