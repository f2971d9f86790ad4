// The official Google GenAI SDK for Node, unmodified.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ApiError, FunctionCallingConfigMode, GoogleGenAI, Type } from '@google/genai';
import { collect, isRelay, startDemo } from './demo.mjs';

const model = 'gemini-3.8-flash';
const ask = { model, contents: 'Why are relays boring?' };
const functionDeclarations = [{
  name: 'get_weather', description: 'The weather of a city',
  parameters: { type: Type.OBJECT, properties: { city: { type: Type.STRING } }, required: ['city'] },
}];

let demo;
let client;
before(async () => {
  demo = await startDemo();
  client = new GoogleGenAI({ apiKey: demo.key, httpOptions: { baseUrl: demo.gemini } });
});
after(() => demo.stop());

test('quickstart', async () => {
  const reply = await client.models.generateContent(ask);
  assert.match(reply.text, /relay/);
  const usage = reply.usageMetadata;
  assert.equal(usage.totalTokenCount, usage.promptTokenCount + usage.candidatesTokenCount);
});

test('configured by the environment', async () => {
  process.env.GOOGLE_GEMINI_BASE_URL = demo.gemini;
  process.env.GEMINI_API_KEY = demo.key;
  assert.ok((await new GoogleGenAI({}).models.generateContent(ask)).text);
});

test('a stream says what the whole answer says', async () => {
  const whole = await client.models.generateContent(ask);
  const chunks = await collect(await client.models.generateContentStream(ask));
  assert.equal(chunks.map((chunk) => chunk.text ?? '').join(''), whole.text);
  assert.deepEqual(chunks.at(-1).usageMetadata, whole.usageMetadata);
});

test('tool loop', async () => {
  const config = { tools: [{ functionDeclarations }] };
  const question = { role: 'user', parts: [{ text: 'The weather in Paris?' }] };
  const first = await client.models.generateContent({ model, contents: [question], config });
  const [call] = first.functionCalls;
  assert.deepEqual(call.args, { city: 'Paris' });
  const result = {
    role: 'user', parts: [{ functionResponse: { name: call.name, response: { weather: '21 degrees' } } }],
  };
  const contents = [question, first.candidates[0].content, result];
  assert.ok((await client.models.generateContent({ model, contents, config })).text);
  const toolConfig = { functionCallingConfig: { mode: FunctionCallingConfigMode.NONE } };
  const none = await client.models.generateContent({ ...ask, config: { ...config, toolConfig } });
  assert.equal(none.functionCalls, undefined);
});

test('structured output', async () => {
  const reply = await client.models.generateContent({ ...ask, config: {
    responseMimeType: 'application/json',
    responseSchema: { type: Type.OBJECT, properties: { city: { type: Type.STRING } } } } });
  assert.deepEqual(JSON.parse(reply.text), { city: 'Paris' });
});

test('count, embed and list', async () => {
  const { totalTokens } = await client.models.countTokens(ask);
  assert.equal(totalTokens, (await client.models.generateContent(ask)).usageMetadata.promptTokenCount);
  const reply = await client.models.embedContent({
    model: 'gemini-embedding-001', contents: ['a', 'b'], config: { outputDimensionality: 8 } });
  assert.deepEqual(reply.embeddings.map((each) => each.values.length), [8, 8]);
  const names = (await collect(await client.models.list())).map((each) => each.name);
  assert.ok(names.includes(`models/${model}`));
});

for (const status of [400, 401, 402, 403, 404, 429, 500, 503]) {
  test(`error of ${status}`, async () => {
    const failing = { ...ask, model: `demo-${status}` };
    const isThat = (error) => error instanceof ApiError && error.status === status;
    await assert.rejects(client.models.generateContent(failing), isThat);
    await assert.rejects(client.models.generateContentStream(failing), isThat);
  });
}

test('unknown key', async () => {
  const stranger = new GoogleGenAI({ apiKey: 'AIza-wrong', httpOptions: { baseUrl: demo.gemini } });
  await assert.rejects(stranger.models.generateContent(ask), (error) => error.status === 401);
});

test('unknown model', { skip: !isRelay }, async () => {
  const asked = client.models.generateContent({ ...ask, model: 'no-such-model' });
  await assert.rejects(asked, (error) => error.status === 404);
});

for (const name of ['demo-cut', 'demo-error']) {
  test(`${name} in a stream rejects`, async () => {
    await assert.rejects(async () => collect(
      await client.models.generateContentStream({ ...ask, model: name })));
  });
}
