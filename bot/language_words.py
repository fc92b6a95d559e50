"""Little words that tell languages apart which share a script.

They are the commonest words of each language (pronouns, postpositions, forms of "to be") that the
others of its script do not have in that spelling. Few of them are enough: hardly a sentence does
without one.
"""

from collections.abc import Mapping
from typing import Final


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: Our language codes by ISO 15924 script, for scripts that serve several languages here.
NATIVE: Final[Mapping[str, Mapping[str, frozenset[str]]]] = {
    "Deva": {
        "hi": _words(
            "है हैं हूँ हूं था थे थी में मैं मुझे मेरा मेरी मेरे का की के को से ने और नहीं "
            "क्या कैसे कब कहाँ कहां क्यों कौन यह वह ये वो आप आपका आपकी आपके हमें हम तुम "
            "अपना अपनी चाहिए सकता सकती सकते रहा रही रहे करना करें कीजिए दीजिए बताइए बताओ हो "
            "गया गई लिए साथ भी तो पर अभी अब यहाँ यहां वहाँ कुछ बहुत कितना कितने कितनी लेकिन "
            "जी हाँ"
        ),
        "mr": _words(
            "आहे आहेत आहोत होता होती होते नाही नाहीत मला माझा माझी माझे माझं तुम्ही तुमचा "
            "तुमची तुमचं आम्ही आम्हाला तुला त्याला तिला काय कसे कसं कसा कधी कुठे का कोण आणि "
            "पण साठी मध्ये पाहिजे हवे हवं हवी हवा करा करायचं करायचे करायची सांगा द्या घ्या "
            "आता इथे तिथे हे हा ही तो ती ते झाले झालं झाला झाली होईल असेल किती उद्या मी "
            "त्यांना आपण"
        ),
        "ne": _words(
            "छ छन् छैन छु हुन्छ हुनुहुन्छ थियो थिए म मलाई मेरो तपाईं तपाईंको तपाई हामी "
            "हामीलाई के कसरी कहिले कहाँ किन को र पनि लागि मा बाट भयो गर्नु गर्न गर्नुहोस् "
            "भन्नुहोस् चाहिन्छ चाहियो अहिले यहाँ त्यहाँ कति धेरै हो होइन"
        ),
        "kok": _words(
            "आसा आसात ना म्हाका तुमका म्हजें म्हजो तुमी हांव आमी कितें कशें केन्ना खंय आनी "
            "पूण जाय सांगात करपाक वचपाक"
        ),
        "mai": _words("अछि छी छल हम हमर हमरा अहाँ अहाँक की कोना कखन कतय नहि आओर मे सँ छैक अछि"),
        "sa": _words("अस्ति सन्ति अहम् मम भवान् भवती किम् कथम् कदा कुत्र न च एव अपि कृपया इच्छामि"),
        "doi": _words("ऐ न ऎ मिगी मेरा तुसें तुंदा असें केह् किʼयां कदूं कुत्थै ते नेईं चाहिदा"),
        "brx": _words("आं आंनि नोंथां नों मा बबेयै माब्ला आरो नङा दं गौ"),
        "bhb": _words("से नी मे मारो तमे हूं काँई केम"),
    },
    "Beng": {
        "bn": _words(
            "আমি আমার আমাকে আপনি আপনার আছে আছেন নেই না হয় হবে ছিল কি কী কেন কবে কখন কোথায় "
            "কেমন এবং আর কিন্তু জন্য থেকে করতে করুন বলুন দিন চাই এখন এখানে কত অনেক করব পারি "
            "হচ্ছে করে"
        ),
        "as": _words(
            "মই মোৰ মোক আপুনি আপোনাৰ আছে আছেনে নাই হয় হ'ব আছিল কি কিয় কেতিয়া ক'ত কেনেকৈ "
            "আৰু কিন্তু বাবে পৰা কৰিব কৰক কওক দিয়ক লাগে এতিয়া ইয়াত কিমান বহুত পাৰোঁ হৈছে "
            "কৰি"
        ),
    },
    "Arab": {
        "ur": _words(
            "ہے ہیں ہوں تھا تھی تھے میں مجھے میرا میری میرے کا کی کے کو سے نے اور نہیں کیا "
            "کیسے کب کہاں کیوں یہ وہ آپ ہم چاہیے رہا رہی رہے لیے بھی تو پر اب ابھی کتنا "
            "کتنے"
        ),
        "ks": _words("چھُ چھِ چھے چھ چھس بہٕ میٛہ مے توٚہہ تُہند کیا کر کتھ کیاہ نہٕ تہٕ منز پیٹھ ہیکہ"),
        "sd": _words(
            "آهي آهن آهيان هو هئي مان مون منهنجو توهان توهانجو ڇا ڪيئن ڪڏهن ڪٿي ڇو ۽ نه ۾ "
            "کي جو جي جا"
        ),
    },
}

#: Languages in Latin letters; Hindi and Tamil as people type them and some recognisers write them.
LATIN: Final[Mapping[str, frozenset[str]]] = {
    "en-IN": _words(
        "the is are was were what when where how why who which my your his her our "
        "their have has had do does did can could will would should want need to of for "
        "with and from this that there here it at on in not am be been an i i'm i'd we "
        "they me please's if or but about any tell give know get like don't can't it's "
        "what's"
    ),
    "hi": _words(
        "hai hain hoon hun tha thi mein mai mujhe mera meri mere aap aapka aapki aapke "
        "hum hame humko nahi nahin nai kya kaise kab kahan kahaan kyon kyun kaun yeh ye "
        "woh wo ka ki ke ko se ne aur chahiye sakta sakti sakte raha rahi rahe karna "
        "karo kariye kijiye dijiye bataiye batao gaya gayi liye bhi abhi ab yahan wahan "
        "kuch bahut kitna kitne kitni lekin haan ji toh mat kal"
    ),
    "ta": _words(
        "naan enakku ennoda enna eppadi eppo enga yaar illa illai irukku iruku venum "
        "vendum ungal unga neenga sollunga pannunga inga anga romba ippo naalaikku aama "
        "kudunga mudiyuma"
    ),
}
#: Spelt alike in English and in Hindi in Latin letters: they tell nothing next to Hindi words.
EITHER: Final = _words("to me is the are do in so us main hi on an has at am i")
