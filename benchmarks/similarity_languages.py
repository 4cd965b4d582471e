"""How alike the default embedder finds sentences about different things, by language.

    python benchmarks/similarity_languages.py

Ten short sentences a language, the same ten meanings, of which no two are about the same thing: the
share of pairs whose cosine reaches the default threshold of the rule ``similarity``, and whether the
language counts as known.
"""

from __future__ import annotations

from itertools import combinations

from residency.embedding.known_languages import knows_language
from residency.embedding.wordllama import WordLlamaEmbedder
from residency.evaluate.suites.rules.similarity import Similarity

SENTENCES = {
    "English": (
        "The kettle leaks at its seal.",
        "Bananas grow in the tropics of America.",
        "The train to Berlin leaves at seven.",
        "My brother plays the violin every evening.",
        "The court decided against the company.",
        "Heat the oil and add the onions.",
        "The moon is smaller than the earth.",
        "Please reset the password of my account.",
        "The river flooded the old bridge.",
        "Children learn to read at school.",
    ),
    "Polish": (
        "Czajnik przecieka przy uszczelce.",
        "Banany rosną w tropikach Ameryki.",
        "Pociąg do Berlina odjeżdża o siódmej.",
        "Mój brat gra na skrzypcach każdego wieczoru.",
        "Sąd orzekł na niekorzyść spółki.",
        "Podgrzej olej i dodaj cebulę.",
        "Księżyc jest mniejszy od Ziemi.",
        "Proszę zresetować hasło mojego konta.",
        "Rzeka zalała stary most.",
        "Dzieci uczą się czytać w szkole.",
    ),
    "Vietnamese": (
        "Ấm đun nước bị rò ở gioăng.",
        "Chuối mọc ở vùng nhiệt đới châu Mỹ.",
        "Tàu đi Berlin khởi hành lúc bảy giờ.",
        "Anh trai tôi chơi vĩ cầm mỗi tối.",
        "Tòa án đã phán quyết chống lại công ty.",
        "Đun nóng dầu rồi cho hành vào.",
        "Mặt trăng nhỏ hơn trái đất.",
        "Xin hãy đặt lại mật khẩu tài khoản của tôi.",
        "Dòng sông làm ngập cây cầu cũ.",
        "Trẻ em học đọc ở trường.",
    ),
    "Turkish": (
        "Su ısıtıcısı contasından sızdırıyor.",
        "Muz Amerika'nın tropik bölgelerinde yetişir.",
        "Berlin treni saat yedide kalkıyor.",
        "Kardeşim her akşam keman çalar.",
        "Mahkeme şirket aleyhine karar verdi.",
        "Yağı ısıtın ve soğanları ekleyin.",
        "Ay dünyadan daha küçüktür.",
        "Lütfen hesabımın şifresini sıfırlayın.",
        "Nehir eski köprüyü su altında bıraktı.",
        "Çocuklar okulda okumayı öğrenir.",
    ),
    "Indonesian": (
        "Ketel itu bocor di bagian segelnya.",
        "Pisang tumbuh di daerah tropis Amerika.",
        "Kereta ke Berlin berangkat pukul tujuh.",
        "Kakak saya bermain biola setiap malam.",
        "Pengadilan memutuskan melawan perusahaan itu.",
        "Panaskan minyak lalu masukkan bawang.",
        "Bulan lebih kecil daripada bumi.",
        "Tolong atur ulang kata sandi akun saya.",
        "Sungai itu membanjiri jembatan tua.",
        "Anak-anak belajar membaca di sekolah.",
    ),
    "Swahili": (
        "Birika inavuja kwenye muhuri wake.",
        "Ndizi hukua katika nchi za tropiki za Amerika.",
        "Treni ya kwenda Berlin inaondoka saa moja.",
        "Kaka yangu hupiga fidla kila jioni.",
        "Mahakama iliamua dhidi ya kampuni hiyo.",
        "Pasha mafuta moto kisha ongeza vitunguu.",
        "Mwezi ni mdogo kuliko dunia.",
        "Tafadhali weka upya nenosiri la akaunti yangu.",
        "Mto ulifurika daraja la zamani.",
        "Watoto hujifunza kusoma shuleni.",
    ),
    "Finnish": (
        "Vedenkeitin vuotaa tiivisteen kohdalta.",
        "Banaanit kasvavat Amerikan tropiikissa.",
        "Juna Berliiniin lähtee kello seitsemän.",
        "Veljeni soittaa viulua joka ilta.",
        "Oikeus päätti yhtiötä vastaan.",
        "Kuumenna öljy ja lisää sipulit.",
        "Kuu on pienempi kuin maa.",
        "Nollatkaa tilini salasana, kiitos.",
        "Joki tulvi vanhan sillan yli.",
        "Lapset oppivat lukemaan koulussa.",
    ),
    "Hungarian": (
        "A vízforraló szivárog a tömítésnél.",
        "A banán Amerika trópusain nő.",
        "A berlini vonat hétkor indul.",
        "A bátyám minden este hegedül.",
        "A bíróság a cég ellen döntött.",
        "Melegítse fel az olajat, és adja hozzá a hagymát.",
        "A hold kisebb, mint a föld.",
        "Kérem, állítsa vissza a fiókom jelszavát.",
        "A folyó elárasztotta a régi hidat.",
        "A gyerekek az iskolában tanulnak olvasni.",
    ),
    "German": (
        "Der Wasserkocher leckt an der Dichtung.",
        "Bananen wachsen in den Tropen Amerikas.",
        "Der Zug nach Berlin fährt um sieben ab.",
        "Mein Bruder spielt jeden Abend Geige.",
        "Das Gericht entschied gegen die Firma.",
        "Erhitzen Sie das Öl und geben Sie die Zwiebeln dazu.",
        "Der Mond ist kleiner als die Erde.",
        "Bitte setzen Sie das Passwort meines Kontos zurück.",
        "Der Fluss überflutete die alte Brücke.",
        "Kinder lernen in der Schule lesen.",
    ),
    "Spanish": (
        "La tetera gotea por la junta.",
        "Los plátanos crecen en los trópicos de América.",
        "El tren a Berlín sale a las siete.",
        "Mi hermano toca el violín cada tarde.",
        "El tribunal falló contra la empresa.",
        "Calienta el aceite y añade las cebollas.",
        "La luna es más pequeña que la tierra.",
        "Por favor, restablezca la contraseña de mi cuenta.",
        "El río inundó el viejo puente.",
        "Los niños aprenden a leer en la escuela.",
    ),
    "French": (
        "La bouilloire fuit au niveau du joint.",
        "Les bananes poussent dans les tropiques d'Amérique.",
        "Le train pour Berlin part à sept heures.",
        "Mon frère joue du violon chaque soir.",
        "Le tribunal a statué contre la société.",
        "Faites chauffer l'huile et ajoutez les oignons.",
        "La lune est plus petite que la terre.",
        "Veuillez réinitialiser le mot de passe de mon compte.",
        "La rivière a inondé le vieux pont.",
        "Les enfants apprennent à lire à l'école.",
    ),
}
"""Written for this script."""


def main() -> None:
    embedder, threshold = WordLlamaEmbedder(), Similarity.model_fields["threshold"].default
    print(f"language: pairs at or above {threshold}, largest cosine, sentences taken as known")
    for language, sentences in SENTENCES.items():
        vectors = embedder.embed(sentences)
        cosines = [float(a @ b) for a, b in combinations(vectors, 2)]
        passed = sum(cosine >= threshold for cosine in cosines) / len(cosines)
        known = sum(map(knows_language, sentences))
        print(f"{language}: {100 * passed:.0f} %, {max(cosines):.2f}, {known} of {len(sentences)}")


if __name__ == "__main__":
    main()
