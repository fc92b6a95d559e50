"""Which language a caller is heard to speak, and that mixing languages does not make it flap."""

import pytest

from bot.heard_language import HeardLanguage, evidence, script_of

HINDI = """
मुझे कल डॉक्टर से मिलना है
आपका क्लिनिक कितने बजे खुलता है
क्या मैं अपॉइंटमेंट रद्द कर सकता हूँ
मेरी फीस कितनी है
मुझे बुखार है और सिर में दर्द है
क्या आप मुझे पता बता सकते हैं
मैं अपना नंबर बदलना चाहता हूँ
मेरा ऑर्डर कहाँ है
यह कब तक आएगा
मुझे पैसे वापस चाहिए
क्या आज दुकान खुली है
मैं किसी से बात करना चाहता हूँ
मेरे बेटे को टीका लगवाना है
गेहूं का भाव क्या है
बारिश कब होगी
मेरी फसल में कीड़े लग गए हैं
मुझे लोन के बारे में जानकारी चाहिए
क्या आप हिंदी में बात करते हैं
नहीं मुझे यह नहीं चाहिए
हाँ कल सुबह ठीक है
मेरा नाम रमेश है
मैं दिल्ली से बोल रहा हूँ
मेरा बिल बहुत ज़्यादा आया है
बिजली कब आएगी
आप कौन बोल रहे हैं
मुझे दोबारा बताइए
मैं समझ नहीं पाया
यह दवा कितनी बार लेनी है
क्या रिपोर्ट आ गई है
मुझे एम्बुलेंस चाहिए
""".strip().splitlines()

TAMIL = """
எனக்கு நாளைக்கு டாக்டரைப் பார்க்க வேண்டும்
உங்கள் கிளினிக் எத்தனை மணிக்கு திறக்கும்
என் அப்பாயின்ட்மென்டை ரத்து செய்ய முடியுமா
கட்டணம் எவ்வளவு சொல்லுங்கள்
எனக்கு காய்ச்சல் இருக்கிறது தலை வலிக்கிறது
உங்கள் முகவரியைச் சொல்ல முடியுமா
என் நம்பரை மாற்ற வேண்டும்
என் ஆர்டர் எங்கே இருக்கிறது
அது எப்போது வரும் சொல்லுங்கள்
எனக்கு பணம் திரும்ப வேண்டும்
இன்று கடை திறந்திருக்கிறதா இல்லையா
நான் ஒருவரிடம் பேச வேண்டும்
என் மகனுக்கு தடுப்பூசி போட வேண்டும்
நெல் விலை இன்று என்ன
மழை எப்போது வரும் தெரியுமா
என் பயிரில் பூச்சி வந்துவிட்டது
கடன் பற்றி தகவல் வேண்டும்
நீங்கள் தமிழில் பேசுவீர்களா சொல்லுங்கள்
இல்லை எனக்கு இது வேண்டாம்
சரி நாளைக்கு காலையில் வருகிறேன்
என் பெயர் முருகன் சென்னையிலிருந்து
நான் மதுரையிலிருந்து பேசுகிறேன் ஐயா
என் பில் ரொம்ப அதிகமாக வந்திருக்கிறது
கரண்ட் எப்போது வரும் ஐயா
நீங்கள் யார் பேசுகிறீர்கள் சொல்லுங்கள்
மறுபடியும் ஒரு முறை சொல்லுங்கள்
எனக்கு எதுவும் புரியவில்லை ஐயா
இந்த மருந்தை எத்தனை முறை சாப்பிட
என் ரிப்போர்ட் வந்துவிட்டதா பாருங்கள்
எனக்கு உடனே ஆம்புலன்ஸ் வேண்டும்
""".strip().splitlines()

ENGLISH = """
I would like to see the doctor tomorrow
What time does your clinic open
Can I cancel my appointment
How much is the fee
I have a fever and a headache
Could you give me the address
I want to change my number
Where is my order
When will it be here
I want my money back
Is the shop open today
I want to talk to someone
My son has to be vaccinated
What is the price of wheat
When will it rain
There are insects on my crop
I need information about a loan
Do you speak English on this line
No I do not want this
That is fine with me
My name is John and I am from Goa
I am calling from Bangalore
My bill is too high this month
When will the power be back
Who am I talking to
Can you tell me that again
I did not understand what was said
How often should I take this medicine
Has my report come
I need an ambulance at my house
""".strip().splitlines()

MARATHI = """
मला उद्या डॉक्टरांना भेटायचं आहे
तुमचं क्लिनिक किती वाजता उघडतं
मी अपॉइंटमेंट रद्द करू शकतो का
फी किती आहे सांगा
मला ताप आहे आणि डोकं दुखतंय
तुम्ही मला पत्ता सांगा
मला माझा नंबर बदलायचा आहे
माझी ऑर्डर कुठे आहे
ते कधी येईल सांगा
मला पैसे परत पाहिजे
आज दुकान उघडं आहे का
मला कोणाशी तरी बोलायचं आहे
माझ्या मुलाला लस द्यायची आहे
गव्हाचा भाव काय आहे
पाऊस कधी होईल
माझ्या पिकात किडे झाले आहेत
मला कर्जाबद्दल माहिती पाहिजे
तुम्ही मराठीत बोलता का
नाही मला हे नको आहे
हो उद्या सकाळी चालेल मला
माझं नाव गणेश आहे
मी पुण्याहून बोलतोय आणि
माझं बिल खूप जास्त आहे
वीज कधी येईल सांगा
तुम्ही कोण बोलताय
मला पुन्हा सांगा
मला काही समजलं नाही
हे औषध किती वेळा घ्यायचं आहे
माझा रिपोर्ट आला आहे का
मला रुग्णवाहिका पाहिजे आता
""".strip().splitlines()

ROMANISED_HINDI = """
mujhe kal doctor se milna hai
aapka clinic kitne baje khulta hai
kya main appointment cancel kar sakta hoon
meri fees kitni hai
mujhe bukhar hai aur sir mein dard hai
kya aap mujhe address bata sakte hain
mera order kahan hai
yeh kab tak aayega mujhe batao
mujhe refund chahiye abhi
kya aaj shop open hai
main kisi se baat karna chahta hoon
mere bete ko vaccine lagwana hai
wheat ka rate kya hai
mujhe loan ke baare mein batao
nahi mujhe yeh nahi chahiye
mera naam Ramesh hai
main Delhi se bol raha hoon
mera bill bahut zyada aaya hai
aap kaun bol rahe hain
mujhe dobara batao please
""".strip().splitlines()

#: What callers who speak Hindi say in the middle of English and the other way round: the agent
#: speaks Hindi and must stay with it.
HINGLISH = """
मुझे appointment book करना है
मेरा order cancel कर दीजिए please
doctor कब available हैं
मुझे customer care से बात करनी है
मेरा account balance बताइए
actually मुझे refund चाहिए था
okay thank you
okay
yes
yes please
no no
hello
hello hello
thank you so much
good morning
सर मेरा internet नहीं चल रहा
I mean मुझे कल का slot चाहिए
मुझे doctor से मिलना है please book an appointment for me tomorrow
basically मेरा payment fail हो गया
haan ji
theek hai
ok sir
mera appointment confirm hai kya
kal ka slot available hai kya
bas thank you ji
मेरा order number है ABC 1 2 3
हाँ ठीक है okay done
नहीं नहीं cancel मत कीजिए
what मतलब क्या है
the doctor कब आएंगे
9 8 7 6 5 4 3 2 1 0
doctor sahab hai kya
""".strip().splitlines()

TAMIL_MIXED = """
எனக்கு appointment வேண்டும்
என் order எங்கே இருக்கு
okay sir
yes
seri okay
doctor எப்போ available
please cancel பண்ணுங்க
thank you
என் bill amount சொல்லுங்க
hello
""".strip().splitlines()


def turns_needed(said: list[str], languages: tuple[str, ...], now: str, to: str) -> list[int]:
    """For each text, said again and again, after how often the language changes (9: never)."""
    needed = []
    for text in said:
        ear = HeardLanguage(languages, now)
        answers = [ear.heard(text) for _ in range(3)]
        assert set(answers) <= {None, to}, text
        needed.append(answers.index(to) + 1 if to in answers else 9)
    return needed


@pytest.mark.parametrize(
    ("said", "languages", "now", "to"),
    [
        (TAMIL, ("hi", "ta"), "hi", "ta"),
        (TAMIL, ("en-IN", "hi", "ta"), "en-IN", "ta"),
        (HINDI, ("hi", "ta"), "ta", "hi"),
        (HINDI, ("en-IN", "hi"), "en-IN", "hi"),
        (ENGLISH, ("hi", "en-IN"), "hi", "en-IN"),
        (ENGLISH, ("ta", "en-IN"), "ta", "en-IN"),
        (MARATHI, ("hi", "mr"), "hi", "mr"),
        (HINDI, ("hi", "mr"), "mr", "hi"),
        (ROMANISED_HINDI, ("en-IN", "hi"), "en-IN", "hi"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_caller_is_followed_within_two_utterances(
    said: list[str], languages: tuple[str, ...], now: str, to: str
) -> None:
    needed = turns_needed(said, languages, now, to)
    missed = [text for text, turns in zip(said, needed, strict=True) if turns > 2]
    assert len(missed) <= len(said) // 10, missed
    assert sum(turns == 1 for turns in needed) >= len(said) / 2


@pytest.mark.parametrize(
    ("said", "languages", "now"),
    [
        (HINGLISH, ("hi", "en-IN"), "hi"),
        (HINGLISH, ("hi", "en-IN", "mr", "ta"), "hi"),
        (HINDI, ("hi", "mr", "ne", "en-IN"), "hi"),
        (MARATHI, ("mr", "hi", "en-IN"), "mr"),
        (ROMANISED_HINDI, ("hi", "en-IN", "ta"), "hi"),
        (TAMIL_MIXED, ("ta", "en-IN", "hi"), "ta"),
        (ENGLISH, ("en-IN", "hi", "ta"), "en-IN"),
        (TAMIL, ("ta", "hi", "en-IN"), "ta"),
    ],
)
def test_who_keeps_to_their_language_is_never_followed_elsewhere(
    said: list[str], languages: tuple[str, ...], now: str
) -> None:
    ear = HeardLanguage(languages, now)
    wrong = [text for text in [*said, *reversed(said)] if ear.heard(text) is not None]
    assert wrong == []


@pytest.mark.parametrize("text", HINGLISH)
def test_a_mixture_said_three_times_over_changes_nothing(text: str) -> None:
    assert turns_needed([text], ("hi", "en-IN"), "hi", "en-IN") == [9]


@pytest.mark.parametrize(
    ("text", "languages", "language"),
    [
        ("মই কাইলৈ ডাক্তৰক লগ কৰিব লাগে", ("bn", "as"), "as"),
        ("আমি কাল ডাক্তার দেখাতে চাই", ("bn", "as"), "bn"),
        ("আপনার নাম কী এবং কোথায় থাকেন", ("as", "bn"), "bn"),
        ("আপোনাৰ নাম কি আৰু ক'ত থাকে", ("bn", "as"), "as"),
        ("मलाई भोलि डाक्टर भेट्नु छ", ("hi", "ne"), "ne"),
        ("तपाईंको नाम के हो", ("hi", "ne"), "ne"),
        ("مجھے کل ڈاکٹر سے ملنا ہے", ("ur", "sd"), "ur"),
        ("مون کي سڀاڻي ڊاڪٽر سان ملڻو آهي", ("ur", "sd"), "sd"),
        ("నాకు రేపు డాక్టర్ అపాయింట్‌మెంట్ కావాలి", ("hi", "te"), "te"),
        ("ನನಗೆ ನಾಳೆ ಡಾಕ್ಟರ್ ಬೇಕು", ("hi", "kn"), "kn"),
        ("എനിക്ക് നാളെ ഡോക്ടറെ കാണണം", ("hi", "ml"), "ml"),
        ("મારે કાલે ડૉક્ટરને મળવું છે", ("hi", "gu"), "gu"),
        ("ਮੈਨੂੰ ਕੱਲ੍ਹ ਡਾਕਟਰ ਨੂੰ ਮਿਲਣਾ ਹੈ", ("hi", "pa"), "pa"),
        ("ମୁଁ କାଲି ଡାକ୍ତରଙ୍କୁ ଦେଖା କରିବି", ("hi", "or"), "or"),
        ("naan naalaikku doctor paakanum enakku venum", ("en-IN", "ta"), "ta"),
    ],
)
def test_scripts_and_the_languages_that_share_them(
    text: str, languages: tuple[str, ...], language: str
) -> None:
    assert evidence(text, languages).language == language


@pytest.mark.parametrize(
    ("text", "languages"),
    [
        ("", ("hi", "ta")),
        ("... ?!", ("hi", "ta")),
        ("12 34", ("hi", "en-IN")),
        # A language that the agent does not speak is none of its business.
        ("আমি কাল ডাক্তার দেখাতে চাই", ("hi", "ta")),
        ("मला उद्या डॉक्टरांना भेटायचं आहे", ("hi", "ta")),
        ("okay", ("hi", "en-IN")),
    ],
)
def test_what_tells_nothing(text: str, languages: tuple[str, ...]) -> None:
    assert evidence(text, languages).language is None


def test_what_the_recogniser_has_found_counts_where_the_text_does_not_contradict() -> None:
    assert evidence("appointment doctor", ("hi", "en-IN"), "en-IN").language == "en-IN"
    assert evidence("मुझे डॉक्टर चाहिए", ("hi", "ta"), "ta").language == "hi"
    assert evidence("डॉक्टर अपॉइंटमेंट", ("hi", "mr"), "mr").language == "mr"
    assert evidence("mujhe chahiye", ("hi", "en-IN"), "en-IN").language == "hi"
    assert evidence("doctor", ("hi", "ta"), "fr").language is None


def test_short_answers_add_up_and_fade() -> None:
    ear = HeardLanguage(("hi", "ta"), "hi")
    assert [ear.heard("சரி வேண்டும்") for _ in range(3)] == [None, None, "ta"]
    ear = HeardLanguage(("hi", "ta"), "hi")
    assert ear.heard("சரி வேண்டும்") is None
    # One in the present language takes nearly all of it away.
    assert ear.heard("जी हाँ मुझे चाहिए") is None
    assert [ear.heard("சரி வேண்டும்") for _ in range(2)] == [None, None]


def test_after_a_change_it_begins_anew() -> None:
    ear = HeardLanguage(("hi", "ta"), "hi")
    assert ear.heard(TAMIL[0]) == "ta"
    ear.turn_to("ta")
    assert ear.heard(TAMIL[1]) is None
    assert ear.heard(HINDI[0]) == "hi"


def test_scripts_by_their_first_letter() -> None:
    assert script_of("(नमस्ते)") == "Deva"
    assert script_of("123") is None
    assert script_of("é") == "Latn"
