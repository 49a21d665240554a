-- What search compares: lower case, without marks (accents, macrons, everything that Unicode calls a mark), ligatures as their letters,
-- punctuation as spaces. NFC and NFD give the same. The letters that Polynesian languages write like apostrophes, and invisible
-- characters, are left out. domain::search_key computes the same, and a test compares them for every character. The length is bounded:
-- an entry of an index has an end.
--
-- For names of ASCII letters and of the accented ones that the former key knew, without signs like & or ", both keys are the same. The
-- others are written again by migration 0133; until then they are found as before.
CREATE OR REPLACE FUNCTION search_key(text) RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT AS $$
DECLARE
    folded text COLLATE "C" := $1;
BEGIN
    IF octet_length(folded) > length(folded) THEN
        folded := regexp_replace(normalize(folded, NFKD), '['
        '­ʹ-ˏ̀-ͯ҃-҉֑-ֽֿׁ-ׂׄ-ׇׅ-׉ؐ-ؚ؜ً-ٰٟۖ-ۜ۟-ۤۧ-۪ۨ-ܑۭܰ-݊ަ-ް߫-߽߳ࠖ-࠙ࠛ-ࠣࠥ-ࠧࠩ-࡙࠭-࡛ࢗ-࢟࣊-ࣣ࣡-ःऺ-़ा-ॏ॑-ॗॢ-ॣঁ-ঃ়া-ৄে-ৈো-্ৗৢ-ৣ৾ਁ-ਃ਼ਾ-ੂੇ-ੈ'
        'ੋ-੍ੑੰ-ੱੵઁ-ઃ઼ા-ૅે-ૉો-્ૢ-ૣૺ-૿ଁ-ଃ଼ା-ୄେ-ୈୋ-୍୓-ୗୢ-ୣஂா-ூெ-ைொ-்ௗఀ-ఄ఼ా-ౄె-ైొ-్ౕ-ౖౢ-ౣಁ-ಃ಼ಾ-ೄೆ-ೈೊ-್ೕ-ೖೢ-ೣೳഀ-ഃ഻-഼ാ-ൄെ-ൈൊ-്ൗൢ-ൣඁ-ඃ'
        '්ා-ුූෘ-ෟෲ-ෳัิ-ฺ็-๎ັິ-ຼ່-໎༘-༹༙༵༷༾-༿ཱ-྄྆-྇ྍ-ྗྙ-ྼ࿆ါ-ှၖ-ၙၞ-ၠၢ-ၤၧ-ၭၱ-ၴႂ-ႍႏႚ-ႝ፝-፟ᜒ-᜕ᜲ-᜴ᝒ-ᝓᝲ-ᝳ឴-៓៝᠋-᠏ᢅ-ᢆᢩᤠ-ᤫᤰ-᤻ᨗ-ᨛᩕ-ᩞ᩠-᩿᩼᪰-᫰'
        'ᬀ-ᬄ᬴-᭄᭫-᭳ᮀ-ᮂᮡ-ᮭ᯦-᯳ᰤ-᰷᳐-᳔᳒-᳨᳭᳴᳷-᳹᷀-᷿​-‏‘‛‪-‮⁠-⁯⃐-⃰⳯-⵿⳱ⷠ-〪ⷿ-゙〯-゚꙯-꙲ꙴ-꙽ꚞ-ꚟ꛰-꛱Ꞌ-ꞌꠂ꠆ꠋꠣ-ꠧ꠬ꢀ-ꢁꢴ-ꣅ꣠-꣱ꣿꤦ-꤭ꥇ-꥓ꦀ-ꦃ꦳-꧀ꧥꨩ-ꨶꩃꩌ-ꩍꩻ-ꩽꪰ'
        'ꪲ-ꪴꪷ-ꪸꪾ-꪿꫁ꫫ-ꫯꫵ-꫶ꯣ-ꯪ꯬-꯭ﬞ︀-️︠-︯﻿𐇽𐋠𐍶-𐍺𐨁-𐨃𐨅-𐨆𐨌-𐨏𐨸-𐨿𐨺𐫥-𐫦𐴤-𐴧𐵩-𐵭𐺫-𐺬𐻋-𐻏𐻰-𐻿𐽆-𐽐𐾂-𐾅𑀀-𑀂𑀸-𑁆𑁰𑁳-𑁴𑁿-𑂂𑂰-𑂺𑃂𑄀-𑄂𑄧-𑄴𑅅-𑅆𑅳𑆀-𑆂𑆳-𑇀𑇉-𑇌𑇎-𑇏𑈬-𑈷𑈾𑉁'
        '𑋟-𑋪𑌀-𑌃𑌻-𑌼𑌾-𑍄𑍇-𑍈𑍋-𑍍𑍗𑍢-𑍣𑍦-𑍬𑍰-𑍴𑎸-𑏀𑏅𑏅𑎸-𑏊𑏌-𑏐𑏒𑏡-𑏢𑐵-𑑆𑑞𑒰-𑓃𑖯-𑖵𑖸-𑗀𑗜-𑗝𑘰-𑙀𑚫-𑚷𑜝-𑜫𑠬-𑠺𑤰-𑤵𑤷-𑤸𑤻-𑤾𑥀𑥂-𑥃𑧑-𑧗𑧚-𑧠𑧤𑨁-𑨊𑨳-𑨹𑨻-𑨾𑩇𑩑-𑩛𑪊-𑪙𑭠-𑭧𑰯-𑰶𑰸-𑰿'
        '𑲒-𑲧𑲩-𑲶𑴱-𑴶𑴺𑴼-𑴽𑴿-𑵅𑵇𑶊-𑶎𑶐-𑶑𑶓-𑶗𑷰𑻳-𑻶𑼀-𑼁𑼃𑼴-𑼺𑼾-𑽂𑽚𓑀𓑇-𓑕𖄞-𖫰𖄯-𖫴𖬰-𖬶𖽏𖽑-𖾇𖾏-𖾒𖿤𖿰-𖿱𛲝-𛲞𜼀-𜼭𜼰-𜽆𝄧-𝄨𝅥-𝅩𝅭-𝅲𝅻-𝆂𝆅-𝆋𝆪-𝆭𝉂-𝉄𝉐-𝉒𝉛-𝉜𝉟𝊀-𝊁𝨀-𝨶𝨻-𝩬𝩵𝪄𝪛-𝪟'
        '𝪡-𝪯𞀀-𞀆𞀈-𞀘𞀛-𞀡𞀣-𞀤𞀦-𞀪𞂏𞄰-𞄶𞊮𞋬-𞋯𞓬-𞓯𞗮-𞗯𞛣𞛦𞛮-𞛯𞛵𞣐-𞣖𞥄-𞥊󠄀-󠇯'
        ']', '', 'g');
        IF octet_length(folded) > length(folded) THEN
            folded := replace(replace(replace(replace(replace(replace(replace(replace(folded,
                'œ', 'oe'), 'Œ', 'oe'), 'æ', 'ae'), 'Æ', 'ae'), 'ß', 'ss'), 'ẞ', 'ss'), 'þ', 'th'), 'Þ', 'th');
            folded := translate(folded,
                'ÐðØøĐđĦħıŁłŊŋŦŧƏςΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩЂЄЅІЈЉЊЋЏАБВГДЕЖЗИКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯҐҒҖҚҢҮҰҲҺӘӨԱԲԳԴԵԶԷԸԹԺԻԼԽԾԿՀՁՂՃՄՅՆՇՈՉՊՋՌՍՎՏՐՑՒՓՔՕՖ',
                'ddooddhhillnnttəσαβγδεζηθικλμνξοπρστυφχψωђєѕіјљњћџабвгдежзиклмнопрстуфхцчшщъыьэюяґғҗқңүұҳһәөաբգդեզէըթժիլխծկհձղճմյնշոչպջռսվտրցւփքօֆ');
        END IF;
    END IF;
    RETURN rtrim(left(ltrim(regexp_replace(lower(folded),
        '[\u0001-\u002f\u003a-\u0040\u005b-\u0060\u007b-\u00bf\u00d7\u00f7\u1680\u2010-\u205f\u2212\u2215\u2e00-\u2e5d\u3000-\u3003\u3008-\u301f]+', ' ', 'g')), 500));
END $$;

-- Sessions keep the function of an index with the index: this lets them read it again.
ALTER INDEX structures_by_city ALTER COLUMN 1 SET STATISTICS 100;
-- The words of a name, for structure_words: those of its key, and where it has apostrophes also those with each apostrophe as a space
-- and those without any: so « L’Isle », « L ISLE » and « Lisle » find each other, and « Ta'arapu » and « Taarapu ».
-- A word may stand there twice. It has 60 characters at most.
CREATE FUNCTION search_words(text) RETURNS text[] LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT AS $$
DECLARE
    apostrophes CONSTANT text := '''’‘‛`´ʹʻʼʽʾʿˈꞋꞌ＇';
    words text := search_key($1);
BEGIN
    IF translate($1, apostrophes, '') <> $1 THEN
        words := concat_ws(' ', words, search_key(translate($1, apostrophes, repeat(' ', length(apostrophes)))),
                           search_key(translate($1, apostrophes, '')));
    END IF;
    IF length(words) > 60 THEN
        words := regexp_replace(words, '([^ ]{60})[^ ]+', '\1', 'g');
    END IF;
    RETURN string_to_array(btrim(words), ' ');
END $$;

-- Labels are few: they are written again at once.
UPDATE technical_users SET label = label
 WHERE label IS NOT NULL AND search_text <> search_key(label) || E'\n' || lower(login);
