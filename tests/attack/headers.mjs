// What Mozilla's HTTP Observatory thinks of the portal's headers: node headers.mjs OBSERVATORY PORT COOKIE PATH...
// Its own scan() wants a public site at port 443, so its parts are put together here as scan() does it.
import { writeFileSync } from "node:fs";

const [observatory, port, cookie, ...paths] = process.argv.slice(2);
// Which sites browsers know by heart is fetched from elsewhere; ours is not among them.
writeFileSync(`${observatory}/conf/hsts-preload.json`, "{}");
const part = (file) => import(`${observatory}/src/${file}`);
const { retrieve } = await part("retriever/retriever.js");
const { ALL_TESTS } = await part("constants.js");
const { getScoreModifier, getGradeForScore } = await part("grader/grader.js");
const { MINIMUM_SCORE_FOR_EXTRA_CREDIT } = await part("grader/charts.js");

let good = true;
for (const path of paths) {
  const headers = ["Accept: text/html", "User-Agent: Mozilla/5.0", ...(cookie ? [`Cookie: ${cookie}`] : [])];
  // Nothing answers at port 9: the portal speaks https alone.
  const site = await retrieve("localhost", { httpsPort: Number(port), httpPort: 9, path, headers });
  const results = ALL_TESTS.map((test) => test(site)).filter((test) => test.result);
  const modifiers = results.map((test) => getScoreModifier(test.result));
  const uncurved = 100 + modifiers.filter((modifier) => modifier < 0).reduce((sum, modifier) => sum + modifier, 0);
  const score = uncurved >= MINIMUM_SCORE_FOR_EXTRA_CREDIT ? 100 + modifiers.reduce((sum, modifier) => sum + modifier, 0) : uncurved;
  results.forEach((test, index) =>
    console.log(`  ${test.pass ? "pass" : "FAIL"} ${String(modifiers[index]).padStart(4)}  ${test.constructor.name}: ${test.result}`),
  );
  const status = site.responses.auto?.status;
  console.log(`${path} (${status}): ${getGradeForScore(score).grade}, ${score} points, ${results.length} tests`);
  good &&= status === 200 && score >= 100 && results.every((test) => test.pass);
}
process.exit(good ? 0 : 1);
