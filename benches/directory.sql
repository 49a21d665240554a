-- Structures $1 to $2 of a made-up French directory, the same ones at each run. The words of the names are as unevenly distributed
-- as in the real one: a few hundred make most names (COMMUNE, SAINT), some stand in a few names, and a third of all words in one.
-- Every 40th name holds a word of its own; 1 structure in 20 is inactive, 1 in 50 is a private person, 1 in 100 is abroad.
WITH words AS MATERIALIZED (SELECT
    string_to_array('SAINT-MARTIN,SAINT-JEAN,SAINT-PIERRE,SAINTE-MARIE,VILLENEUVE,SAINT-ÉTIENNE,MONTREUIL,BEAUMONT,CHÂTILLON,BOURG,'
        'NEUVILLE,ROCHEFORT,SAINT-AUBIN,MOULINS,L’ISLE,VALENCE,CHAMPIGNY,LA ROCHE,PONT-L''ABBÉ,CLERMONT,SAINT-GERMAIN,FONTAINE,'
        'MARSEILLE,LYON,TOULOUSE,NICE,NANTES,STRASBOURG,RENNES,LILLE,BORDEAUX,REIMS,ANGERS,GRENOBLE,DIJON,NÎMES,BREST,LE MANS,TOURS,'
        'AMIENS,LIMOGES,ANNECY,METZ,BESANÇON,ORLÉANS,ROUEN,CAEN,NANCY,AVIGNON,POITIERS', ',') AS places,
    string_to_array('MONT,BEL,CHAM,VIL,ROCHE,FON,MAR,BRI,CASTEL,LAN,PLOU,GUI,COUR,BOIS,VAL,NEUF,SER,AUBE,CHÂTEL,PRÉ,GRAND,MAL,ORM,TRE,'
        'KER,ISS,BRAN,DOM,ESPI,FLEUR', ',') AS roots,
    string_to_array('VILLE,COURT,IGNY,AC,ENS,MONT,BOURG,HEIM,OURS,ELLES,IÈRES,ANGES,AY,ON,EUIL,ONNE,ARGUES,EMBERT,ISSAC,OLLES,ETOT,OUX,'
        'ANCE,ERY,UC,ADE,IERS,EAU,ONS,ETTE', ',') AS ends,
    string_to_array('JULES,VICTOR,JEAN,MARIE,LOUIS,JACQUES,PIERRE,PAUL,GEORGES,SIMONE,ÉMILE,LÉON,ANNE,LUCIE,RENÉ,ALBERT,HENRI,CLAUDE,'
        'ROSA,JOLIOT', ',') AS first_names,
    string_to_array('FERRY,HUGO,MOULIN,CURIE,PASTEUR,PRÉVERT,MENDÈS,ÉLUARD,POMPIDOU,VEIL,ZOLA,BLUM,FRANK,AUBRAC,CASSIN,CAMUS,MATISSE,'
        'DEBUSSY,PARKS,CŒUR', ',') AS last_names,
    string_to_array('BA,BE,BI,BO,CA,CO,DA,DO,FA,FI,GA,GO,LA,LE,LI,LO,MA,ME,MI,MO,NA,NO,PA,PI,RA,RE,RI,RO,SA,SI,TA,TO,VA,VI,XA,ZO', ',')
        AS syllables
), drawn AS (
    -- u to w: even draws from 0 to 1, by the number.
    SELECT n, (hashint8extended(n, 1) & 1048575) / 1048576.0 AS u, (hashint8extended(n, 2) & 1048575) / 1048576.0 AS v,
           (hashint8extended(n, 3) & 1048575) / 1048576.0 AS w, hashint8extended(n, 4) & 2147483647 AS bits
      FROM generate_series($1::bigint, $2::bigint) n
), named AS (
    SELECT d.*, w.first_names[1 + (d.bits % 20)] || ' ' || w.last_names[1 + (d.bits / 32 % 20)] AS person,
           -- Places by Zipf's law: the first is as frequent as all of rank 10 to 27.
           CASE WHEN d.v < 0.45 THEN w.places[1 + floor(power(50, d.w))::integer - 1]
                ELSE w.roots[1 + floor(power(30, d.w))::integer - 1] || w.ends[1 + (d.bits % 30)]
                     || CASE d.bits / 1024 % 4 WHEN 0 THEN '-SUR-' || w.roots[1 + (d.bits / 4096 % 30)] || 'E' WHEN 1 THEN '-EN-'
                        || w.roots[1 + (d.bits / 4096 % 30)] || 'OIS' ELSE '' END END AS place,
           w.syllables[1 + (d.bits % 36)] || w.syllables[1 + (d.bits / 36 % 36)] || w.syllables[1 + (d.bits / 1296 % 36)]
             || w.syllables[1 + (d.bits / 46656 % 36)] || w.syllables[1 + (d.bits / 1679616 % 36)] AS rare
      FROM drawn d CROSS JOIN words w
)
INSERT INTO structures (identifier_type, identifier, designation, postal_code, city, country_code, country, active, moa)
SELECT CASE WHEN n % 50 = 7 THEN 'PARTICULIER' WHEN n % 100 = 1 THEN 'UE_HORS_FRANCE' ELSE 'SIRET' END,
       CASE WHEN n % 50 = 7 THEN 'P' || n WHEN n % 100 = 1 THEN 'BE' || lpad(n::text, 10, '0')
            ELSE lpad((n * 7919 % 999999937)::text, 9, '0') || lpad((n % 99999)::text, 5, '0') END,
       CASE WHEN n % 50 = 7 THEN person
            WHEN u < 0.36 THEN 'COMMUNE DE ' || place
            WHEN u < 0.44 THEN 'SYNDICAT ' || (ARRAY['INTERCOMMUNAL','MIXTE'])[1 + n % 2] || ' '
                 || (ARRAY['DES EAUX','D''ASSAINISSEMENT','SCOLAIRE','D’ÉLECTRICITÉ'])[1 + bits / 64 % 4] || ' DE ' || place
            WHEN u < 0.50 THEN 'COMMUNAUTÉ DE COMMUNES DE ' || place
            WHEN u < 0.62 THEN (ARRAY['ÉCOLE','ÉCOLE','COLLÈGE','LYCÉE'])[1 + bits / 64 % 4] || ' ' || person
            WHEN u < 0.66 THEN 'CENTRE HOSPITALIER DE ' || place
            WHEN u < 0.84 THEN 'ASSOCIATION DES AMIS DE ' || place || ' ' || person
            ELSE (ARRAY['SARL','SCI','SAS'])[1 + bits / 64 % 3] || ' ' || rare || ' & ' || place END
         || CASE WHEN n % 40 = 3 THEN ' ' || rare || n ELSE '' END,
       lpad((1000 + bits % 94999)::text, 5, '0'), place,
       CASE WHEN n % 100 = 1 THEN 'BE' ELSE 'FR' END, CASE WHEN n % 100 = 1 THEN 'BELGIQUE' ELSE 'FRANCE' END, n % 20 <> 11, n % 500 = 13
  FROM named
