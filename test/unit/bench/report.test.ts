import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { renderPage } from '../../bench/page.ts';
import { renderTables } from '../../bench/table.ts';
import { outcome } from './samples.ts';

suite('tables of the bench', () => {
  const text = renderTables(outcome());

  test('show median, spread and ratio to plain', () => {
    assert.match(text, /4\.50 \[4\.25\.\.4\.75\]/);
    assert.match(text, /0\.50 ×/);
  });

  test('call a difference within the spread equal', () => {
    assert.match(text, /equal \(1\.00 ×\)/);
  });

  test('show what the mesh costs', () => {
    assert.match(text, /CPU s, mesh/);
    assert.match(text, /mesh memory.*72\.0|mesh memory/);
  });

  test('say what was not measured and how long podwire learnt', () => {
    assert.match(text, /sidecar: no Envoy here/);
    assert.match(text, /after 3\.3 s of plain traffic/);
  });

  test('tell of reads that were woken without data', () => {
    assert.match(text, /tcp-rr-64, podwire: 3 blocking reads returned EAGAIN/);
  });
});

suite('page of the bench', () => {
  const html = renderPage(outcome());

  test('loads nothing from elsewhere', () => {
    assert.doesNotMatch(html, /<(?:script|link|img)[^>]+(?:src|href)=/);
    assert.doesNotMatch(html, /@import|url\(/);
    assert.match(html, /uPlot/);
  });

  test('follows the light or dark setting', () => {
    assert.match(html, /prefers-color-scheme: dark/);
  });

  test('carries the figures as data that its script can read', () => {
    const json = /<script type="application\/json" id="data">(.*?)<\/script>/s.exec(html)?.[1];
    assert.ok(json);
    const data = JSON.parse(json) as { variants: string[]; results: { shape: string }[] };
    assert.deepEqual(data.variants, ['plain', 'podwire', 'sidecar-mtls']);
    assert.equal(data.results.length, 5);
  });

  test('escapes what comes from the machine', () => {
    assert.match(html, /A &lt;fast&gt; CPU/);
    assert.doesNotMatch(html, /A <fast>/);
  });

  test('says in words what podwire gains', () => {
    assert.match(html, /<p class="big">10 × faster<\/p><p>than sidecar-mtls<\/p>/);
  });
});
